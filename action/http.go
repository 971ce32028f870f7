package action

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/template"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/microhq/monitor-srv/setting"
	"github.com/microhq/monitor-srv/text"
)

// httpKeys are the keys of an http action; down to timeout they are goma's.
type httpKeys struct {
	// URLInit, URLFail and URLRecover are the targets of each event. An event without
	// a URL is not sent. Reminders go to URLFail.
	URLInit    setting.Secret `toml:"url_init"`
	URLFail    setting.Secret `toml:"url_fail"`
	URLRecover setting.Secret `toml:"url_recover"`
	// Method is GET, or POST if there is a body.
	Method string `toml:"method"`
	// Agent is the User-Agent; default monitor-srv/VERSION.
	Agent string `toml:"agent"`
	// Header adds headers to the request.
	Header map[string]setting.Secret `toml:"header"`
	// Params adds fields to the form.
	Params map[string]setting.Secret `toml:"params"`
	// Timeout is how long a request may take; 30 s, at most 10 min.
	Timeout setting.Duration `toml:"timeout"`

	// Body is a template that replaces the form.
	Body string `toml:"body"`
	// ContentType is the media type of the body; default application/json.
	ContentType string `toml:"content_type"`
	// Incident adds the fields incident and error to the form; default true.
	Incident bool `toml:"incident"`
	// TLS holds the trusted authorities and the client certificate.
	TLS setting.TLS `toml:"tls"`
}

// methods are the allowed request methods.
var methods = [...]string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}

// httpAction sends each notification to a URL.
type httpAction struct {
	urls     map[Event]*url.URL
	method   string
	header   http.Header
	host     string // replaces the host of the URL, if set
	params   map[string]string
	timeout  time.Duration
	body     *template.Template // nil for a form
	incident bool
	client   *http.Client
	secrets  *redactor
}

func newHTTP(decode func(any) error, env Env) (Action, error) {
	keys := httpKeys{Agent: "monitor-srv/" + env.Version, Incident: true}
	if err := decode(&keys); err != nil {
		return nil, err
	}
	a := &httpAction{incident: keys.Incident, params: map[string]string{}}
	var err error
	if a.timeout, err = checkTimeout(time.Duration(keys.Timeout)); err != nil {
		return nil, err
	}
	for _, step := range []func(httpKeys) error{a.setURLs, a.setBody, a.setMethod, a.setHeader} {
		if err := step(keys); err != nil {
			return nil, err
		}
	}
	for name, value := range keys.Params {
		a.params[name] = value.Reveal()
	}
	a.secrets = keys.secrets()
	conf, err := keys.TLS.Config()
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	a.client = newClient(conf, a.header)
	return a, nil
}

func (a *httpAction) setURLs(keys httpKeys) error {
	a.urls = map[Event]*url.URL{}
	for _, k := range []struct {
		key   string
		text  setting.Secret
		event Event
	}{
		{"url_init", keys.URLInit, Init}, {"url_fail", keys.URLFail, Fail}, {"url_recover", keys.URLRecover, Recover},
	} {
		if k.text.IsZero() {
			continue
		}
		u, err := url.Parse(k.text.Reveal())
		if err != nil {
			return fmt.Errorf("%s is not a URL", k.key) // the error would contain the URL
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("%s is not an HTTP URL: give http:// or https:// and a host", k.key)
		}
		a.urls[k.event] = u
	}
	if len(a.urls) == 0 {
		return errors.New("no URL given: give url_fail, url_recover or url_init")
	}
	if u := a.urls[Fail]; u != nil {
		a.urls[Repeat] = u
	}
	return nil
}

func (a *httpAction) setBody(keys httpKeys) (err error) {
	if keys.Body == "" {
		if keys.ContentType != "" {
			return errors.New("content_type requires body")
		}
		return nil
	}
	a.body, err = parseTemplate("body", keys.Body)
	return err
}

func (a *httpAction) setMethod(keys httpKeys) error {
	a.method = strings.ToUpper(keys.Method)
	if a.method == "" {
		a.method = http.MethodGet
		if a.body != nil {
			a.method = http.MethodPost
		}
	}
	if !slices.Contains(methods[:], a.method) {
		return fmt.Errorf("unknown method %q: give one of %s", keys.Method, strings.Join(methods[:], ", "))
	}
	if a.body != nil && a.inQuery() {
		return fmt.Errorf("a request of method %s has no body: give method POST, PUT or PATCH", a.method)
	}
	return nil
}

func (a *httpAction) setHeader(keys httpKeys) error {
	a.header = http.Header{"User-Agent": {keys.Agent}}
	if a.body != nil {
		a.header.Set("Content-Type", "application/json")
		if keys.ContentType != "" {
			a.header.Set("Content-Type", keys.ContentType)
		}
	}
	for name, value := range keys.Header {
		if strings.EqualFold(name, "Host") {
			a.host = value.Reveal()
			continue
		}
		a.header.Set(name, value.Reveal())
	}
	for name, values := range a.header {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(values[0]) {
			return fmt.Errorf("header %q is not a valid header name, or its value has control characters", name)
		}
	}
	if a.host != "" && !httpguts.ValidHostHeader(a.host) {
		return errors.New("header \"Host\" is not a valid host")
	}
	return nil
}

// secrets returns a redactor of everything in keys that may be secret.
func (keys httpKeys) secrets() *redactor {
	var list, passwords []string
	for _, text := range []setting.Secret{keys.URLInit, keys.URLFail, keys.URLRecover} {
		u, err := url.Parse(text.Reveal())
		if err != nil {
			continue
		}
		if password, ok := u.User.Password(); ok {
			passwords = append(passwords, password)
		}
		// The path of a webhook is its password.
		list = append(list, u.User.Username(), u.RawQuery, u.Path, u.EscapedPath())
		for _, values := range u.Query() {
			list = append(list, values...)
		}
	}
	for _, m := range []map[string]setting.Secret{keys.Header, keys.Params} {
		for _, value := range m {
			list = append(list, value.Reveal())
		}
	}
	return newRedactor(append(passwords, longSecrets(list)...)...)
}

// Deadline returns the timeout of a request.
func (a *httpAction) Deadline() time.Duration { return a.timeout }

// Kind returns "http".
func (a *httpAction) Kind() string { return "http" }

// Inits says that starts are sent if they have a URL.
func (a *httpAction) Inits() (atOnce, onceGood bool) { return false, a.urls[Init] != nil }

// String names the action by its method and hosts.
func (a *httpAction) String() string {
	var hosts []string
	for _, u := range a.urls {
		hosts = append(hosts, u.Scheme+"://"+u.Host)
	}
	slices.Sort(hosts)
	return fmt.Sprintf("http %s %s", a.method, strings.Join(slices.Compact(hosts), " "))
}

// inQuery reports whether the form is sent in the URL.
func (a *httpAction) inQuery() bool {
	return a.method == http.MethodGet || a.method == http.MethodHead
}

// newClient returns a client that follows redirects as goma did, but sends headers
// and credentials to the first host only. It keeps a few idle connections for 10 s,
// so it needs no closing.
func newClient(conf *tls.Config, own http.Header) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        conf,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    10,
			IdleConnTimeout:        10 * time.Second,
			TLSHandshakeTimeout:    DefaultTimeout,
			MaxResponseHeaderBytes: maxResponse,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			return checkRedirect(req, via, own)
		},
	}
}

// maxRedirects is how many redirects are followed.
const maxRedirects = 5

func checkRedirect(req *http.Request, via []*http.Request, own http.Header) error {
	first, last := via[0].URL, via[len(via)-1].URL
	if len(via) > maxRedirects {
		return &Permanent{fmt.Errorf("more than %d redirects", maxRedirects)}
	}
	if req.Response.StatusCode == http.StatusMovedPermanently && req.Method != via[0].Method {
		return &Permanent{fmt.Errorf("moved to %s://%s: give the new URL, because a redirect loses the request body", req.URL.Scheme, text.Line(req.URL.Host, 100))}
	}
	if req.URL.Scheme != "https" && (req.URL.Scheme != "http" || last.Scheme == "https") {
		return &Permanent{fmt.Errorf("redirected from %s to %s", last.Scheme, text.Line(req.URL.Scheme, 20))}
	}
	if req.URL.Scheme == first.Scheme && req.URL.Host == first.Host {
		return nil
	}
	if req.Body != nil && req.Body != http.NoBody {
		return &Permanent{fmt.Errorf("redirected with its body to another host, %s: give the URL of that host if it is trusted", text.Line(req.URL.Host, 100))}
	}
	for name := range own {
		if name != "User-Agent" {
			req.Header.Del(name)
		}
	}
	for _, name := range []string{"Authorization", "Cookie", "Referer"} {
		req.Header.Del(name)
	}
	return nil
}

// Notify sends the first notification.
func (a *httpAction) Notify(ctx context.Context, ns []Notification) error {
	if len(ns) == 0 {
		return errNoNotification
	}
	u := a.urls[ns[0].Event]
	if u == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, a.timeout, fmt.Errorf("no answer within %v", a.timeout))
	defer cancel()
	if err := a.send(ctx, u, ns[0]); err != nil {
		return fmt.Errorf("sending %s to %s://%s: %w", a.method, u.Scheme, u.Host, a.secrets.err(err))
	}
	return nil
}
