package probe

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/microhq/monitor-srv/setting"
)

// httpConfig holds the keys of the kind http.
type httpConfig struct {
	// URL is the requested URL. Its user and password are sent by basic
	// authentication.
	URL string `toml:"url"`
	// Method is the request method, in any case; default GET.
	Method string `toml:"method"`
	// Header adds header fields to the request. "Host" sets the requested host name.
	Header map[string]setting.Secret `toml:"header"`
	// Agent is the User-Agent.
	Agent string `toml:"agent"`
	// Proxy is the URL of a proxy. If empty, HTTP_PROXY, HTTPS_PROXY and NO_PROXY of
	// the environment apply.
	Proxy setting.Secret `toml:"proxy"`
	// Parse makes the number in the body the value, as measure = "body" does.
	Parse bool `toml:"parse"`
	// Errval is the value shown when a probe that measures a number fails.
	Errval float64 `toml:"errval"`
	// Body is sent with the request.
	Body setting.Secret `toml:"body"`
	// ExpectStatus lists the expected status codes, such as "200-299,404".
	ExpectStatus string `toml:"expect_status"`
	// ExpectBody is a regular expression that the body must match.
	ExpectBody string `toml:"expect_body"`
	// ExpectJSON maps paths in a JSON body, such as "items.0.state", to expected
	// values.
	ExpectJSON map[string]any `toml:"expect_json"`
	// FollowRedirects enables redirects, at most 5; default true.
	FollowRedirects *bool `toml:"follow_redirects"`
	// TLS holds the trusted authorities and the client certificate.
	TLS setting.TLS `toml:"tls"`
	// User and one of the passwords are sent by basic authentication.
	User         string         `toml:"user"`
	Password     setting.Secret `toml:"password"`
	PasswordFile string         `toml:"password_file"`
	PasswordEnv  string         `toml:"password_env"`
	// Bearer, or the content of BearerFile or BearerEnv, is sent as the bearer token.
	Bearer     setting.Secret `toml:"bearer"`
	BearerFile string         `toml:"bearer_file"`
	BearerEnv  string         `toml:"bearer_env"`
	// IP restricts connections to one version of IP: "4" or "6".
	IP string `toml:"ip"`
	// Measure is status (0 if all is as expected), latency in seconds, cert_days
	// until the first certificate expires, or body.
	Measure string `toml:"measure"`
}

// defaultAgent is the User-Agent unless one is configured.
const defaultAgent = "monitor-srv"

func newHTTP(decode func(any) error, env Env) (Probe, error) {
	c := httpConfig{Method: http.MethodGet, ExpectStatus: "200-299"}
	if err := decode(&c); err != nil {
		return nil, err
	}
	if err := c.check(env); err != nil {
		return nil, err
	}
	p := &httpProbe{config: c, restricted: env.Restricted}
	if err := p.prepare(); err != nil {
		return nil, err
	}
	if err := p.setTransport(env); err != nil {
		return nil, err
	}
	return p, nil
}

// check validates the keys and sets the defaults that depend on other keys.
func (c *httpConfig) check(env Env) error {
	if err := env.refuseKeys(map[string]bool{
		"proxy": !c.Proxy.IsZero(), "password_file": c.PasswordFile != "", "password_env": c.PasswordEnv != "",
		"bearer_file": c.BearerFile != "", "bearer_env": c.BearerEnv != "",
		"tls.ca_file": c.TLS.CAFile != "", "tls.cert_file": c.TLS.CertFile != "", "tls.key_file": c.TLS.KeyFile != "",
		"follow_redirects": c.FollowRedirects != nil && *c.FollowRedirects,
	}); err != nil {
		return err
	}
	c.Method = strings.ToUpper(cmp.Or(c.Method, http.MethodGet))
	if !httpguts.ValidHeaderFieldName(c.Method) {
		return fmt.Errorf("method: %q is not an HTTP method", printable(c.Method))
	}
	for name, value := range c.Header {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value.Reveal()) {
			return fmt.Errorf("header: %q cannot be sent in a header", printable(name))
		}
	}
	if !httpguts.ValidHeaderFieldValue(c.Agent) {
		return errors.New("agent: cannot be sent in a header")
	}
	if c.Measure == "" {
		c.Measure = "status"
		if c.Parse {
			c.Measure = "body"
		}
	}
	if c.Parse && c.Measure != "body" {
		return fmt.Errorf("measure: %q contradicts parse = true", c.Measure)
	}
	if err := checkOneOf("ip", c.IP, "", "4", "6"); err != nil {
		return err
	}
	if err := checkOneOf("measure", c.Measure, "status", "latency", "cert_days", "body"); err != nil {
		return err
	}
	return finite("errval", c.Errval)
}

// prepare makes the request and what its response is compared with.
func (p *httpProbe) prepare() error {
	c := &p.config
	target, err := parseTarget(c.URL)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if c.Measure == "cert_days" && target.Scheme != "https" {
		return errors.New("measure: cert_days needs an https URL")
	}
	auth, err := c.authorization(target.User)
	if err != nil {
		return err
	}
	target.User, target.Fragment = nil, ""
	target.RawQuery = escapeQuery(target.RawQuery)
	p.request, err = http.NewRequest(c.Method, target.String(), nil)
	if err != nil {
		return fmt.Errorf("url: %w", errNotURL)
	}
	c.fillHeader(p.request, auth)
	if h := p.request.Header; h.Get("Accept-Encoding") == "" && h.Get("Range") == "" && c.Method != http.MethodHead {
		h.Set("Accept-Encoding", "gzip")
		p.unzip = true
	}
	p.expect, err = newExpectation(c)
	if err != nil {
		return err
	}
	p.secrets = c.secrets(target, auth)
	return nil
}

var errNotURL = errors.New("not an http or https URL such as https://host:port/path")

// parseTarget parses a URL and checks its host, which it returns in its ASCII form. Its
// errors do not contain the URL, which may hold a password.
func parseTarget(text string) (*url.URL, error) {
	if text == "" {
		return nil, errors.New("this key is required")
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errNotURL
	}
	host, err := hostOf(u.Hostname())
	if err != nil {
		return nil, err
	}
	if host != u.Hostname() {
		u.Host = strings.Replace(u.Host, u.Hostname(), host, 1)
	}
	if u.Port() != "" {
		return u, checkPort(u.Port())
	}
	u.Host = strings.TrimSuffix(u.Host, ":")
	return u, nil
}

// authorization returns the value of the header Authorization, or "".
func (c *httpConfig) authorization(inURL *url.Userinfo) (string, error) {
	password, err := setting.SecretFrom("password", c.Password, c.PasswordFile, c.PasswordEnv)
	if err != nil {
		return "", err
	}
	bearer, err := setting.SecretFrom("bearer", c.Bearer, c.BearerFile, c.BearerEnv)
	if err != nil {
		return "", err
	}
	user, secret := c.User, password.Reveal()
	if user == "" && !password.IsZero() {
		return "", errors.New("password: needs user")
	}
	if inURL != nil && user == "" {
		user = inURL.Username()
		secret, _ = inURL.Password()
	}
	switch {
	case user != "" && !bearer.IsZero():
		return "", errors.New("bearer: give either a bearer or a user and password")
	case !bearer.IsZero():
		if !httpguts.ValidHeaderFieldValue(bearer.Reveal()) {
			return "", errors.New("bearer: cannot be sent in a header")
		}
		return "Bearer " + bearer.Reveal(), nil
	case inURL != nil || user != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+secret)), nil
	}
	return "", nil
}

// fillHeader sets the header of the request. The key header overrides what other keys
// would send, except that agent overrides a User-Agent there.
func (c *httpConfig) fillHeader(r *http.Request, auth string) {
	r.Header.Set("User-Agent", defaultAgent)
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	for name, value := range c.Header {
		if http.CanonicalHeaderKey(name) == "Host" {
			r.Host = value.Reveal()
			continue
		}
		r.Header.Set(name, value.Reveal())
	}
	if c.Agent != "" {
		r.Header.Set("User-Agent", c.Agent)
	}
}

// secrets returns the texts that may not appear in an error.
func (c *httpConfig) secrets(target *url.URL, auth string) []string {
	list := []string{target.RawQuery, auth, c.Body.Reveal(), c.Password.Reveal(), c.Proxy.Reveal()}
	if u, err := url.Parse(c.URL); err == nil && u.User != nil {
		password, _ := u.User.Password()
		list = append(list, u.User.String(), password)
	}
	if u, err := url.Parse(c.Proxy.Reveal()); err == nil && u.User != nil {
		password, _ := u.User.Password()
		list = append(list, u.User.String(), password)
	}
	if _, token, ok := strings.Cut(auth, " "); ok {
		list = append(list, token)
	}
	for name, value := range c.Header {
		if !isPublicHeader(name) {
			list = append(list, value.Reveal())
		}
	}
	// A part of the shown URL is not a secret, and errors need it.
	shown := showURL(target)
	return slices.DeleteFunc(list, func(s string) bool { return strings.Contains(shown, s) })
}

// isPublicHeader reports whether the value of a header field is never a secret.
func isPublicHeader(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return name == "Host" || name == "Content-Type" || name == "User-Agent" || strings.HasPrefix(name, "Accept")
}
