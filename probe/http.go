package probe

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/microhq/monitor-srv/setting"
)

// httpConfig holds the keys of the kind http.
type httpConfig struct {
	// URL is the requested URL. Its user and password are sent by basic
	// authentication.
	URL string `toml:"url"`
	// URLFile or URLEnv hold a URL whose path and query are secret.
	URLFile string `toml:"url_file"`
	URLEnv  string `toml:"url_env"`
	// Unix is the path of a socket to connect to, in place of the host of the URL.
	Unix string `toml:"unix"`
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
	// ExpectNotBody is a regular expression that the body must not match.
	ExpectNotBody string `toml:"expect_not_body"`
	// ExpectJSON maps paths in a JSON body, such as "items.0.state", to expected
	// values, or lists conditions such as "len(items) > 0".
	ExpectJSON jsonKey `toml:"expect_json"`
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
	// until the first certificate expires, body, or json.
	Measure string `toml:"measure"`
	// JSON is the path of the number in a JSON body that is the value.
	JSON string `toml:"json"`
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
		"unix":             c.Unix != "", "url_file": c.URLFile != "", "url_env": c.URLEnv != "",
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
	if err := c.checkMeasure(); err != nil {
		return err
	}
	if err := checkOneOf("ip", c.IP, "", "4", "6"); err != nil {
		return err
	}
	if c.Unix != "" {
		if c.IP != "" || !c.Proxy.IsZero() {
			return errors.New("unix: needs neither ip nor proxy")
		}
		if err := checkUnix(c.Unix); err != nil {
			return err
		}
	}
	return finite("errval", c.Errval)
}

// checkMeasure checks what is measured, and the keys that depend on it.
func (c *httpConfig) checkMeasure() error {
	if c.Measure == "" {
		switch {
		case c.Parse:
			c.Measure = "body"
		case c.JSON != "":
			c.Measure = "json"
		default:
			c.Measure = "status"
		}
	}
	if err := checkOneOf("measure", c.Measure, "status", "latency", "cert_days", "body", "json"); err != nil {
		return err
	}
	switch {
	case c.Parse && c.Measure != "body":
		return fmt.Errorf("measure: %q contradicts parse = true", c.Measure)
	case c.JSON != "" && c.Measure != "json":
		return fmt.Errorf("measure: %q contradicts the key json", c.Measure)
	case c.Measure == "json" && c.JSON == "":
		return errors.New("measure: json needs the key json, the path of a number such as \"queue.length\"")
	case c.Measure == "json" && c.Method == http.MethodHead:
		return errors.New("measure: the answer to HEAD has no body")
	}
	return nil
}
