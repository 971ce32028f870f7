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
	// The agent is one host and calls are rare: more idle connections are of no use.
	maxIdleConsul = 8
	// Consul's maximum and default of the wait of a blocking query.
	maxConsulWait     = 10 * time.Minute
	defaultConsulWait = 5 * time.Minute
)

// newConsulTransport returns a transport for connections to the agent. It verifies
// certificates unless CONSUL_HTTP_SSL_VERIFY is false.
func newConsulTransport(tlsConf api.TLSConfig, address consulAddress, timeout time.Duration) (*http.Transport, error) {
	config, err := newConsulTLS(tlsConf)
	if err != nil {
		return nil, fmt.Errorf("%w: correct or unset the variable", err)
	}
	dialer := &net.Dialer{Timeout: timeout, KeepAlive: 15 * time.Second}
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    timeout,
		MaxIdleConns:           maxIdleConsul,
		MaxIdleConnsPerHost:    maxIdleConsul,
		MaxConnsPerHost:        maxWatches + maxQueries + 4*parallelUpdates,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if address.socket != "" {
		t.Proxy = nil
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", address.socket)
		}
	}
	return t, nil
}

// consulLimits bounds the duration of every call and the size of its response, and
// ends the calls with life. The plugin passes no context to its calls.
type consulLimits struct {
	base        http.RoundTripper
	timeout     time.Duration
	maxResponse int64
	life        context.Context
}

var errNoResponse = errors.New("no answer in time")

// RoundTrip sends a request. The deadline covers the reading of the body too.
func (d *consulLimits) RoundTrip(req *http.Request) (*http.Response, error) {
	timeout := d.timeoutOf(req)
	ctx, cancel := context.WithTimeoutCause(req.Context(), timeout, errNoResponse)
	release := context.AfterFunc(d.life, cancel)
	end := func() { release(); cancel() }
	resp, err := d.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cause := context.Cause(ctx)
		end()
		if errors.Is(cause, errNoResponse) {
			return nil, guard.Reword(fmt.Sprintf("no answer within %v", timeout), err)
		}
		return nil, err
	}
	resp.Body = &consulBody{ReadCloser: resp.Body, max: d.maxResponse, left: d.maxResponse, end: end}
	return resp, nil
}

// timeoutOf returns the timeout of a call. A blocking query has an index. It takes its
// wait in addition, and up to a sixteenth more, by which Consul spreads its answers.
func (d *consulLimits) timeoutOf(req *http.Request) time.Duration {
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

// consulBody bounds the size of a response's body and ends the call on Close.
type consulBody struct {
	io.ReadCloser
	max  int64
	left int64
	once sync.Once
	end  func()
}

func (b *consulBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the response is larger than %d bytes", b.max)
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
