package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/microhq/monitor-srv/guard"
)

const (
	// The agent is one host and the calls are few: more idle connections than this
	// only hold descriptors.
	maxIdleConsul = 8
	// maxConsulWait is what Consul allows for a blocking query, and its default.
	maxConsulWait     = 10 * time.Minute
	defaultConsulWait = 5 * time.Minute
)

// newConsulTransport makes the connections to the agent. Certificates are verified
// unless the environment says otherwise in so many words.
func newConsulTransport(tlsConf api.TLSConfig, target consulTarget, timeout time.Duration) (*http.Transport, error) {
	config, err := api.SetupTLSConfig(&tlsConf)
	if err != nil {
		return nil, fmt.Errorf("reading the TLS files named by %s, %s, %s and %s: %w: correct or unset them",
			api.HTTPCAFile, api.HTTPCAPath, api.HTTPClientCert, api.HTTPClientKey, err)
	}
	dialer := &net.Dialer{Timeout: timeout, KeepAlive: 15 * time.Second}
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    timeout,
		MaxIdleConns:           maxIdleConsul,
		MaxIdleConnsPerHost:    maxIdleConsul,
		MaxConnsPerHost:        maxWatches + maxQuestions + 4*parallelWrites,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if target.socket != "" {
		t.Proxy = nil
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", target.socket)
		}
	}
	return t, nil
}

// consulDeadline ends every call within its time and with life, because the plugin
// gives its calls no context.
type consulDeadline struct {
	base      http.RoundTripper
	timeout   time.Duration
	maxAnswer int64
	life      context.Context
}

var errNoAnswer = errors.New("no answer in time")

// RoundTrip gives the call its deadline, which also covers the reading of the body.
func (d *consulDeadline) RoundTrip(req *http.Request) (*http.Response, error) {
	limit := d.limit(req)
	ctx, cancel := context.WithTimeoutCause(req.Context(), limit, errNoAnswer)
	release := context.AfterFunc(d.life, cancel)
	end := func() { release(); cancel() }
	resp, err := d.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cause := context.Cause(ctx)
		end()
		if errors.Is(cause, errNoAnswer) {
			return nil, guard.WithText(fmt.Sprintf("no answer within %v", limit), err)
		}
		return nil, err
	}
	resp.Body = &consulBody{ReadCloser: resp.Body, max: d.maxAnswer, left: d.maxAnswer, end: end}
	return resp, nil
}

// limit is the time for a call: a blocking query, known by its index, may last as
// long as it waits, plus the sixteenth that Consul adds to spread its answers.
func (d *consulDeadline) limit(req *http.Request) time.Duration {
	query := req.URL.Query()
	if query.Get("index") == "" {
		return d.timeout
	}
	wait, err := time.ParseDuration(query.Get("wait"))
	if err != nil || wait <= 0 {
		wait = defaultConsulWait
	}
	wait = min(wait, maxConsulWait)
	return wait + wait/16 + d.timeout
}

// consulBody is an answer's body with an end to its size and to its time.
type consulBody struct {
	io.ReadCloser
	max  int64
	left int64
	once sync.Once
	end  func()
}

func (b *consulBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer is larger than %d bytes", b.max)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (b *consulBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(b.end)
	return err
}
