package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/microhq/monitor-srv/text"
)

// maxResponse bounds what is read of a response body, and of its header, in bytes.
// The body is read so that the connection can be reused.
const maxResponse = 64 << 10

// send sends a notification in one request.
func (a *httpAction) send(ctx context.Context, u *url.URL, n Notification) error {
	req, err := a.request(ctx, u, n)
	if err != nil {
		return &Permanent{err}
	}
	var used atomic.Pointer[net.Conn] // by the last request, after redirects
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		if c, ok := got.Conn.(*answerConn); ok && got.Reused {
			c.begin()
		}
		used.Store(&got.Conn)
	}}
	resp, err := a.client.Do(req.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		var withURL *url.Error
		if errors.As(err, &withURL) {
			err = withURL.Err
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return a.judge(used.Load(), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 200 && resp.StatusCode < 300 && (resp.ContentLength < 0 || resp.ContentLength > maxResponse) {
		return nil // the body is too long to reuse the connection
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	return statusError(resp, text.Line(string(body), 200))
}

// judge returns the error of a request that used a connection, if any, and has no
// answer that can be read. If the answer began with success, the receiver has the
// notification, and a retry would notify again.
func (a *httpAction) judge(used *net.Conn, err error) error {
	if used == nil {
		return &Unreachable{err}
	}
	if c, ok := (*used).(*answerConn); !ok || !c.succeeded() {
		return err
	}
	a.oddly.Log(a.log, slog.LevelWarn, "the receiver accepted a notification with an answer that cannot be read", func() []any {
		return []any{"action", a.String(), "error", text.Line(a.secrets.text(err.Error()), 300)}
	})
	return nil
}

// request makes the request: with the form in the query or in the body, or with the
// rendered template.
func (a *httpAction) request(ctx context.Context, u *url.URL, n Notification) (*http.Request, error) {
	target := *u
	var body string
	switch {
	case a.body != nil:
		text, err := a.body.render(n)
		if err != nil {
			return nil, fmt.Errorf("rendering the body: %w", err)
		}
		body = text
	case a.inQuery():
		target.RawQuery = a.form(u, n).Encode()
	default:
		body = a.form(u, n).Encode()
	}
	req, err := http.NewRequestWithContext(ctx, a.method, target.String(), strings.NewReader(body))
	if err != nil {
		return nil, errors.New("making the request: the URL is not valid")
	}
	req.Header = a.header.Clone()
	if a.body == nil && !a.inQuery() {
		if req.Header.Get("Content-Type") == "" {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	req.Header.Set("Idempotency-Key", headerToken(n.Key()))
	req.Header.Set("X-Monitor-Event", headerToken(string(n.Event)))
	if n.Incident != "" {
		req.Header.Set("X-Monitor-Incident", headerToken(n.Incident))
	}
	if a.host != "" {
		req.Host = a.host
	}
	return req, nil
}

// form returns the fields of a notification. They replace those of the URL and of
// params.
func (a *httpAction) form(u *url.URL, n Notification) url.Values {
	form := u.Query()
	for name, value := range a.params {
		form.Set(name, value)
	}
	form.Set("monitor", n.Monitor)
	form.Set("host", n.Host)
	form.Set("event", n.Event.goma())
	form.Set("version", n.Version)
	switch n.Event {
	case Fail, Repeat:
		form.Set("value", n.value())
	case Recover:
		form.Set("duration", strconv.Itoa(n.seconds()))
	}
	if a.incident && n.Incident != "" {
		form.Set("incident", n.Incident)
		if n.Error != "" {
			form.Set("error", text.Line(n.Error, 1000))
		}
	}
	return form
}

// statusError returns an error for a status code other than 2xx; text is the start of
// the body.
func statusError(resp *http.Response, text string) error {
	code := resp.StatusCode
	err := errors.New(strings.TrimSuffix(fmt.Sprintf("answered %d %s: %s", code, http.StatusText(code), text), ": "))
	switch {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		if after, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
			return &RetryAfter{after, err}
		}
		return err
	}
	return &Permanent{err}
}

// retryAfter parses a Retry-After header: seconds, or a date.
func retryAfter(text string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if date, err := http.ParseTime(text); err == nil {
		return date.Sub(now), true
	}
	return 0, false
}

// headerToken returns text as the value of a header: printable ASCII without spaces,
// other bytes as '_', at most 200 bytes.
func headerToken(text string) string {
	b := []byte(text[:min(len(text), 200)])
	for i, c := range b {
		if c <= ' ' || c > '~' {
			b[i] = '_'
		}
	}
	return string(b)
}
