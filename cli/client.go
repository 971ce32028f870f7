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
	address string
	token   string
	http    http.Client
}

// newClient takes HOST:PORT, or goma's way to give a password, USER:TOKEN@HOST:PORT.
func newClient(address string) *client {
	// A transport of its own: the default one is for what libraries ask.
	c := &client{http: http.Client{Timeout: requestTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}}
	c.address, c.token = splitToken(address)
	if c.token == "" {
		c.token = os.Getenv(tokenVariable)
	}
	return c
}

// splitToken splits what stands before an @ from an address, so that the address
// may be shown. The token is what follows the first colon of it, if there is one.
func splitToken(text string) (address, token string) {
	i := strings.LastIndexByte(text, '@')
	if i < 0 {
		return text, ""
	}
	_, token, _ = strings.Cut(text[:i], ":")
	return text[i+1:], token
}

// A request is a method, a path, and a body with its content type, both perhaps empty.
type request struct{ method, path, contentType, body string }

// monitorPath returns goma's path of a monitor.
func monitorPath(id string) string { return "/monitor/" + url.PathEscape(id) }

// do sends one request and returns the answer, or what the instance says is wrong.
func (c *client) do(ctx context.Context, r request) (string, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, "http://"+c.address+r.path, strings.NewReader(r.body))
	if err != nil {
		return "", usageError{fmt.Errorf("--%s %q: %w", flagHTTPAddress, c.address, err)}
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", fmt.Errorf("asking %q: %w; is it running, and is --%s right?", c.address, errors.Unwrap(err), flagHTTPAddress)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("reading the answer of %q: %w", c.address, err)
	}
	text := strings.TrimSpace(string(answer))
	if resp.StatusCode/100 != 2 {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return "", &refusedError{c.address, resp.Status, text, time.Duration(seconds) * time.Second}
	}
	return text, nil
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
