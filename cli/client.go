package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/web"
)

const (
	// requestTimeout bounds one request to a running instance.
	requestTimeout = 10 * time.Second
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 16 << 20
	// tokenVariable holds the token if the address has none.
	tokenVariable = "MONITOR_TOKEN"
)

// A client asks a running instance over HTTP, as goma's command does.
type client struct {
	target
	http http.Client
}

// client returns a client of the instance that flags name.
func (inv *invocation) client() (*client, error) {
	t, err := parseTarget(inv.options.address)
	if err != nil {
		return nil, err
	}
	if t.token == "" {
		t.token = os.Getenv(tokenVariable)
	}
	return &client{target: t, http: http.Client{
		Timeout: requestTimeout,
		// A transport of its own: the default one is for what libraries ask.
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment},
		// An instance sends nobody elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// A request is a method, a path, and a body with its content type, both perhaps empty.
type request struct{ method, path, contentType, body string }

// monitorPath returns goma's path of a monitor, by its id or name. A name of dots must
// not be taken for a part of the path.
func monitorPath(ref string) string {
	return "/monitor/" + strings.ReplaceAll(url.PathEscape(ref), ".", "%2E")
}

// An answer is what an instance says, good or not.
type answer struct {
	good       bool
	code       int
	status     string
	text       string
	note       string // what goma's answers cannot say
	retryAfter time.Duration
}

// send sends one request and returns the answer. It fails unless that is one of
// monitor-srv: another server may say OK to anything.
func (c *client) send(ctx context.Context, r request) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, "http://"+c.address+r.path, strings.NewReader(r.body))
	if err != nil {
		return answer{}, usageError{fmt.Errorf("--%s %q: %w", flagHTTPAddress, c.address, err)}
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("asking %q: %w; is it running, and is --%s right?", c.address, errors.Unwrap(err), flagHTTPAddress)
	}
	defer resp.Body.Close()
	if len(resp.Header.Values(web.VersionHeader)) == 0 {
		return answer{}, fmt.Errorf("%q is not monitor-srv: it answers %s without the header %s; give the address of an instance with --%s", c.address, resp.Status, web.VersionHeader, flagHTTPAddress)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("reading the answer of %q: %w", c.address, err)
	}
	delay, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return answer{
		good: resp.StatusCode/100 == 2, code: resp.StatusCode, status: resp.Status,
		text: strings.TrimSpace(string(body)), note: resp.Header.Get(web.NoteHeader), retryAfter: time.Duration(delay) * time.Second,
	}, nil
}

// do sends one request and returns the answer, or what the instance says is wrong.
func (c *client) do(ctx context.Context, r request) (answer, error) {
	a, err := c.send(ctx, r)
	if err == nil && !a.good {
		if a.code == http.StatusUnauthorized {
			a.text = c.tokenHint()
		}
		err = &refusedError{c.address, a.status, a.text, a.retryAfter}
	}
	return a, err
}

// tokenHint says how to give a token on the command line. The instance says how to send
// one in a header.
func (c *client) tokenHint() string {
	if c.token != "" {
		return "the token is unknown there: give another one as in -s x:TOKEN@" + c.address + ", or in " + tokenVariable
	}
	return "a token is needed: give it as in -s x:TOKEN@" + c.address + ", or in " + tokenVariable
}

// ask sends one request to the instance that flags name and returns the answer.
func (inv *invocation) ask(ctx context.Context, r request) (answer, error) {
	c, err := inv.client()
	if err != nil {
		return answer{}, err
	}
	return c.do(ctx, r)
}

// refusedError is what an instance says is wrong.
type refusedError struct {
	address, status, text string
	// retryAfter is when to ask again, or 0 if there is no use in it.
	retryAfter time.Duration
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("%q says %s: %s", e.address, e.status, e.text)
}
