package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"golang.org/x/net/http/httpproxy"

	"github.com/microhq/monitor-srv/setting"
)

// setTransport sets the transport that requests use.
func (p *httpProbe) setTransport(env Env) error {
	config, err := p.config.TLS.Config()
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	if p.config.TLS == (setting.TLS{}) {
		config = nil // to save half a kilobyte
	}
	proxy, err := proxyOf(p.config.Proxy.Reveal(), env)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	limit := plainIdleLimit
	if p.request.URL.Scheme == "https" {
		limit = idleLimit
	}
	dial := env.dialer()
	if path := p.config.Unix; path != "" {
		proxy = nil
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return env.dialer()(ctx, "unix", path) }
	}
	p.transport = &httpTransport{config: transportConfig{
		dial: dial, network: "tcp" + p.config.IP, tls: config, proxy: proxy,
		oneRequest: env.Interval >= limit || !repeatable(p.request.Method),
		http1:      p.request.Header.Get("Upgrade") != "" || overTLS(proxy, p.request),
	}}
	return nil
}

// repeatable reports whether a request may be sent again if a reused connection was
// closed without a response. Other requests get a new connection each.
func repeatable(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// overTLS reports whether a request goes to a proxy by TLS. Such a proxy would choose
// HTTP/2 if it was offered, and cannot be asked by it.
func overTLS(proxy func(*http.Request) (*url.URL, error), req *http.Request) bool {
	if proxy == nil {
		return false
	}
	u, err := proxy(req)
	return err == nil && u != nil && u.Scheme == "https"
}

// proxyOf returns the function that finds the proxy for a request: the configured proxy,
// or those of the environment. It returns nil if there is none.
func proxyOf(configured string, env Env) (func(*http.Request) (*url.URL, error), error) {
	if env.Restricted {
		return nil, nil
	}
	if configured != "" {
		u, err := parseProxy(configured)
		return http.ProxyURL(u), err
	}
	c := httpproxy.FromEnvironment()
	if c.HTTPProxy == "" && c.HTTPSProxy == "" {
		return nil, nil
	}
	find := c.ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return find(r.URL) }, nil
}

// parseProxy parses the URL of a proxy, which may hold a password.
func parseProxy(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, errors.New("not a URL such as http://host:port")
	}
	return u, checkOneOf("scheme", u.Scheme, "http", "https", "socks5", "socks5h")
}
