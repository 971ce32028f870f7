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
	// URL to ask for. User and password in it are sent by basic authentication.
	URL string `toml:"url"`
	// Method of the request, in any case; "GET" if empty.
	Method string `toml:"method"`
	// Header fields of the request; "Host" sets the name asked for.
	Header map[string]setting.Secret `toml:"header"`
	// Agent is the User-Agent field.
	Agent string `toml:"agent"`
	// Proxy is the URL of a proxy; if empty, HTTP_PROXY, HTTPS_PROXY and NO_PROXY
	// of the environment are obeyed.
	Proxy setting.Secret `toml:"proxy"`
	// Parse makes the number in the body the value, as measure = "body" does.
	Parse bool `toml:"parse"`
	// Errval is the value shown when a probe fails that measures something.
	Errval float64 `toml:"errval"`
	// Body is sent with the request.
	Body setting.Secret `toml:"body"`
	// ExpectStatus lists the good status codes, as "200-299,404".
	ExpectStatus string `toml:"expect_status"`
	// ExpectBody is a regular expression that the body must match.
	ExpectBody string `toml:"expect_body"`
	// ExpectJSON maps paths into a JSON body, as "items.0.state", to the values
	// that must be there.
	ExpectJSON map[string]any `toml:"expect_json"`
	// FollowRedirects is true if not given. At most 5 are followed.
	FollowRedirects *bool `toml:"follow_redirects"`
	// TLS says whom to trust and who we are.
	TLS setting.TLS `toml:"tls"`
	// User and one of the passwords are sent by basic authentication.
	User         string         `toml:"user"`
	Password     setting.Secret `toml:"password"`
	PasswordFile string         `toml:"password_file"`
	PasswordEnv  string         `toml:"password_env"`
	// One of the bearers is sent as the bearer token.
	Bearer     setting.Secret `toml:"bearer"`
	BearerFile string         `toml:"bearer_file"`
	BearerEnv  string         `toml:"bearer_env"`
	// IP is "4" or "6" to use only that version of IP.
	IP string `toml:"ip"`
	// Measure is status (0 if all is as expected), latency in seconds, cert_days
	// until the first certificate expires, or body.
	Measure string `toml:"measure"`
}

// defaultAgent names us where no agent is configured.
const defaultAgent = "monitor-srv"

func newHTTP(decode func(any) error, env Env, buffers *buffers) (Probe, error) {
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
	if err := p.connectBy(env, buffers); err != nil {
		return nil, err
	}
	return p, nil
}

// check looks at the keys by themselves and fills what depends on others.
func (c *httpConfig) check(env Env) error {
	if err := env.forbidden(map[string]bool{
		"proxy": !c.Proxy.IsZero(), "password_file": c.PasswordFile != "", "password_env": c.PasswordEnv != "",
		"bearer_file": c.BearerFile != "", "bearer_env": c.BearerEnv != "",
		"tls.ca_file": c.TLS.CAFile != "", "tls.cert_file": c.TLS.CertFile != "", "tls.key_file": c.TLS.KeyFile != "",
		"follow_redirects": c.FollowRedirects != nil && *c.FollowRedirects,
	}); err != nil {
		return err
	}
	c.Method = strings.ToUpper(cmp.Or(c.Method, http.MethodGet))
	if !httpguts.ValidHeaderFieldName(c.Method) {
		return fmt.Errorf("method: %q is not a method of HTTP", printable(c.Method))
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
	if err := oneOf("ip", c.IP, "", "4", "6"); err != nil {
		return err
	}
	if err := oneOf("measure", c.Measure, "status", "latency", "cert_days", "body"); err != nil {
		return err
	}
	return finite("errval", c.Errval)
}

// prepare makes the request and what its answer is compared with.
func (p *httpProbe) prepare() error {
	c := &p.config
	target, err := parseTarget(c.URL)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if c.Measure == "cert_days" && target.Scheme != "https" {
		return errors.New("measure: cert_days needs a url of https")
	}
	auth, err := c.authorization(target.User)
	if err != nil {
		return err
	}
	target.User, target.Fragment = nil, ""
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

var errNotURL = errors.New("not a URL of http or https, such as https://host:port/path")

// parseTarget reads a URL and checks its host. Its errors show nothing of it,
// for it may hold a password.
func parseTarget(text string) (*url.URL, error) {
	if text == "" {
		return nil, errors.New("this key is required")
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errNotURL
	}
	host, err := asciiHost(u.Hostname())
	if err != nil {
		return nil, err
	}
	if err := checkHost(host); err != nil {
		return nil, err
	}
	if u.Port() != "" {
		return u, checkPort(u.Port())
	}
	u.Host = strings.TrimSuffix(u.Host, ":")
	return u, nil
}

// authorization returns the header field of that name, or "".
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

// fillHeader sets the fields of the request. What is given under header wins
// over what the other keys would send, but agent over a User-Agent there.
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

// secrets lists what may not appear in an error.
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
		if !openField(name) {
			list = append(list, value.Reveal())
		}
	}
	// What the address shows anyway is no secret, and errors need the address.
	shown := showURL(target)
	return slices.DeleteFunc(list, func(s string) bool { return strings.Contains(shown, s) })
}

// openField reports whether the value of a header field is never a secret.
func openField(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return name == "Host" || name == "Content-Type" || name == "User-Agent" || strings.HasPrefix(name, "Accept")
}
