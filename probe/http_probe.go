package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

// maxRedirects bounds the redirects followed.
const maxRedirects = 5

type httpProbe struct {
	config     httpConfig
	restricted bool
	// request is the request that each probe sends, without its body.
	request *http.Request
	// shown is the URL in errors.
	shown  string
	expect *expectation
	// value finds the value of measure = "json".
	value     jsonRule
	transport *httpTransport
	// unzip is set if gzip was requested by us and not by the configuration.
	unzip   bool
	secrets []string
}

// Probe sends the request and reads the whole response.
func (p *httpProbe) Probe(ctx context.Context) (Result, error) {
	begin, watch := time.Now(), startStopwatch()
	r, err := p.ask(p.transport.startProbe(ctx, watch), watch)
	took := time.Since(begin)
	r.Phases = watch.phases()
	if err == nil && p.config.Measure == "latency" {
		r.Value = took.Seconds()
	}
	if err == nil {
		return r, nil
	}
	p.transport.drop()
	r.Value = failedValue
	if p.config.Measure != "status" {
		r.Value = p.config.Errval
	}
	err = fmt.Errorf("%s %s: %w", p.request.Method, p.shown, err)
	return r, redact(err, p.secrets...)
}

func (p *httpProbe) ask(ctx context.Context, watch *stopwatch) (Result, error) {
	req := p.request.WithContext(ctx)
	if body := p.config.Body.Reveal(); body != "" {
		req.ContentLength = int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
	}
	resp, err := p.transport.RoundTrip(req)
	if err == nil && resp.StatusCode/100 == 3 && p.follows() {
		resp, err = p.followRedirect(req, resp)
	}
	if err != nil {
		return Result{}, p.explain(ctx, err)
	}
	defer resp.Body.Close()
	defer watch.lap(phaseBody)
	if err := p.expect.checkStatus(resp, p.follows()); err != nil {
		return Result{Detail: p.detail(resp, page{}), Facts: factsOf(resp, 0)}, p.statusError(ctx, resp, err)
	}
	return p.read(ctx, resp)
}

// read reads and judges the body.
func (p *httpProbe) read(ctx context.Context, resp *http.Response) (Result, error) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		_ = resp.Body.Close()
		resp.Body = http.NoBody // what follows is another protocol
	}
	read, err := p.readBody(ctx, resp)
	r := Result{Detail: p.detail(resp, read), Facts: factsOf(resp, read.size)}
	if err == nil {
		err = p.expect.checkBody(ctx, read)
	}
	if err != nil {
		return r, err
	}
	switch p.config.Measure {
	case "cert_days":
		r.Value, err = certDays(resp, time.Now())
	case "body":
		if r.Value, err = ParseValue(string(read.text)); err != nil {
			err = read.withText(fmt.Errorf("the body %w", err))
		}
	case "json":
		r.Value, err = jsonNumber(read, p.value)
	}
	return r, err
}

func (p *httpProbe) follows() bool {
	return !p.restricted && (p.config.FollowRedirects == nil || *p.config.FollowRedirects)
}

// followRedirect returns the response to which that of a request leads. It costs more
// than a request and is not needed for most.
func (p *httpProbe) followRedirect(req *http.Request, resp *http.Response) (*http.Response, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &answeredTransport{resp, p.transport}, CheckRedirect: p.redirect, Jar: jar}
	return client.Do(req)
}

// answeredTransport has the response to the first request already.
type answeredTransport struct {
	first *http.Response
	http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *answeredTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if resp := t.first; resp != nil {
		t.first = nil
		return resp, nil
	}
	return t.RoundTripper.RoundTrip(req)
}

// redirect decides whether to follow a redirect. Header fields, credentials and
// client certificates go only to the configured host.
func (p *httpProbe) redirect(req *http.Request, via []*http.Request) error {
	req.URL.RawQuery = escapeQuery(req.URL.RawQuery)
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if sameTarget(p.request.URL, req.URL) {
		return nil
	}
	tls := p.config.TLS
	switch {
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return fmt.Errorf("redirect to a URL of scheme %q: not followed", printable(req.URL.Scheme))
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		return fmt.Errorf("redirect of %s to another host (%q): not followed", req.Method, req.URL.Host)
	case p.config.Unix != "":
		return fmt.Errorf("redirect to another host (%q): not followed with unix", req.URL.Host)
	case tls.CertFile != "" || tls.ServerName != "":
		return fmt.Errorf("redirect to another host (%q): not followed with a certificate or server_name of our own", req.URL.Host)
	}
	kept := http.Header{"User-Agent": req.Header["User-Agent"]}
	if p.unzip {
		kept["Accept-Encoding"] = req.Header["Accept-Encoding"]
	}
	req.Header = kept
	req.Host = ""
	return nil
}

// sameTarget reports whether a redirect leads to the same host, or from http to https
// on it.
func sameTarget(from, to *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	if from.Scheme == to.Scheme {
		return portOf(from) == portOf(to)
	}
	return from.Scheme == "http" && to.Scheme == "https" && portOf(from) == "80" && portOf(to) == "443"
}

// detail returns the status, the size and the remaining days of the certificate.
func (p *httpProbe) detail(resp *http.Response, read page) string {
	text := fmt.Sprintf("status %d", resp.StatusCode)
	switch {
	case read.cut != "":
		text += fmt.Sprintf(", %d bytes read, the body %s", read.size, read.cut)
	case read.size > 0:
		text += fmt.Sprintf(", %d bytes", read.size)
	}
	if days, err := certDays(resp, time.Now()); err == nil {
		text += fmt.Sprintf(", certificate %.0f days", math.Floor(days))
	}
	return text
}

// certDays returns the days until the first of the server's certificates expires.
func certDays(resp *http.Response, now time.Time) (float64, error) {
	if resp.TLS == nil || len(resp.TLS.PeerCertificates) == 0 {
		return 0, errors.New("no certificate was shown")
	}
	return daysLeft(*resp.TLS, now), nil
}

// Close closes the connections.
func (p *httpProbe) Close() error {
	p.transport.drop()
	return nil
}
