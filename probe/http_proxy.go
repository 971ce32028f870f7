package probe

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/net/http/httpproxy"

	"github.com/microhq/monitor-srv/setting"
)

// setTransport sets the transport and the client that requests use.
func (p *httpProbe) setTransport(env Env, buffers *buffers) error {
	p.transport = &httpTransport{dial: env.dialer(), network: "tcp" + p.config.IP, buffers: buffers}
	p.client = &http.Client{Transport: p.transport, CheckRedirect: p.redirect}
	if p.config.TLS != (setting.TLS{}) {
		config, err := p.config.TLS.Config()
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		p.transport.tls = config
	}
	proxy, err := proxyOf(p.config.Proxy.Reveal(), env)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	p.transport.proxy = proxy
	return nil
}

// proxyOf returns the function that finds the proxy for a URL: the configured proxy,
// or those of the environment. It returns nil if there is none.
func proxyOf(configured string, env Env) (func(*url.URL) (*url.URL, error), error) {
	if env.Restricted {
		return nil, nil
	}
	if configured != "" {
		u, err := parseProxy(configured)
		return func(*url.URL) (*url.URL, error) { return u, nil }, err
	}
	c := httpproxy.FromEnvironment()
	if c.HTTPProxy == "" && c.HTTPSProxy == "" {
		return nil, nil
	}
	return c.ProxyFunc(), nil
}

// parseProxy parses the URL of a proxy, which may hold a password.
func parseProxy(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, errors.New("not a URL such as http://host:port")
	}
	return u, checkOneOf("scheme", u.Scheme, "http", "https", "socks5", "socks5h")
}
