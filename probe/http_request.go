package probe

import (
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

// prepare makes the request and what its response is compared with.
func (p *httpProbe) prepare() error {
	c := &p.config
	location, err := setting.SecretFrom("url", setting.NewSecret(c.URL), c.URLFile, c.URLEnv)
	if err != nil {
		return err
	}
	target, err := parseTarget(strings.TrimSpace(location.Reveal()))
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
	user := target.User
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
	if c.Measure == "json" {
		if p.value, err = parseSubject(c.JSON); err != nil {
			return fmt.Errorf("json: %w", err)
		}
	}
	p.shown = showURL(target)
	if c.URL == "" {
		p.shown = target.Scheme + "://" + target.Host
	}
	p.secrets = c.secrets(target, user, auth)
	// A part of the shown URL is not a secret, and errors need it.
	p.secrets = slices.DeleteFunc(p.secrets, func(s string) bool { return strings.Contains(p.shown, s) })
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

// secrets returns the texts that may not appear in an error. The path and its parts are
// among them because they are secret if the shown URL does not contain them.
func (c *httpConfig) secrets(target *url.URL, user *url.Userinfo, auth string) []string {
	list := []string{target.RequestURI(), target.EscapedPath(), target.Path, target.RawQuery, auth, c.Body.Reveal(), c.Password.Reveal(), c.Proxy.Reveal()}
	list = append(list, strings.Split(target.Path, "/")...)
	list = append(list, secretsOf(user)...)
	if u, err := url.Parse(c.Proxy.Reveal()); err == nil {
		list = append(list, secretsOf(u.User)...)
	}
	if _, token, ok := strings.Cut(auth, " "); ok {
		list = append(list, token)
	}
	for name, value := range c.Header {
		if !isPublicHeader(name) {
			list = append(list, value.Reveal())
		}
	}
	return list
}

// secretsOf returns the texts of a user and a password that may not appear in an error.
func secretsOf(user *url.Userinfo) []string {
	if user == nil {
		return nil
	}
	password, _ := user.Password()
	return []string{user.String(), password}
}

// isPublicHeader reports whether the value of a header field is never a secret.
func isPublicHeader(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return name == "Host" || name == "Content-Type" || name == "User-Agent" || strings.HasPrefix(name, "Accept")
}
