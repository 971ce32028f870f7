package action

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/microhq/monitor-srv/loglimit"
	"github.com/microhq/monitor-srv/setting"
	"github.com/microhq/monitor-srv/text"
)

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
	body     *httpBody // nil for a form
	incident bool
	client   *http.Client
	secrets  *redactor
	log      *slog.Logger
	oddly    loglimit.Limiter // lines about answers that cannot be read
}

func newHTTP(decode func(any) error, env Env) (Action, error) {
	keys := httpKeys{Agent: "monitor-srv/" + env.Version, Incident: true}
	if err := decode(&keys); err != nil {
		return nil, err
	}
	if err := keys.readSecrets(); err != nil {
		return nil, err
	}
	a := &httpAction{incident: keys.Incident, params: map[string]string{}, log: env.log()}
	a.oddly.Every = time.Hour
	var err error
	if a.timeout, err = checkTimeout(time.Duration(keys.Timeout)); err != nil {
		return nil, err
	}
	for _, step := range []func(httpKeys) error{a.setURLs, a.setBody, a.checkHook, a.setMethod, a.setHeader} {
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
		if isChatService(u.Scheme) {
			return fmt.Errorf("%s: %q is a service of type = \"notify\": give the URL there as url", k.key, u.Scheme)
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("%s is not an HTTP URL: give http:// or https:// and a host", k.key)
		}
		a.urls[k.event] = u
	}
	if len(a.urls) == 0 {
		return errors.New("no URL given: give url_fail, url_recover or url_init, or one of them with _file or _env")
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
	a.body, err = newHTTPBody(keys.Body, cmp.Or(keys.ContentType, defaultContentType), keys.ContentType != "")
	return err
}

// defaultContentType is the media type of a body.
const defaultContentType = "application/json"

// checkHook refuses to send the form to a chat service that takes none.
func (a *httpAction) checkHook(keys httpKeys) error {
	_, payload := keys.Params["payload"] // Slack takes a message in this field
	for _, u := range a.urls {
		if hook := chatHookOf(u); hook != nil && hook.message != "" && a.body == nil && !payload {
			return fmt.Errorf("this is a web hook of %s, which does not take the form: give body = '%s', or an action of type = \"notify\" with url = %q", hook.name, hook.message, hook.url)
		}
	}
	return nil
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
		a.header.Set("Content-Type", cmp.Or(keys.ContentType, defaultContentType))
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
			name, _, _ = strings.Cut(name, ":") // the rest may be a value
			return fmt.Errorf("header %q is not a valid header name, or its value has control characters", name)
		}
	}
	if a.host != "" && !httpguts.ValidHostHeader(a.host) {
		return errors.New("header \"Host\" is not a valid host")
	}
	return nil
}

// Warnings returns what is probably a mistake in the body.
func (a *httpAction) Warnings() []error {
	if a.body == nil {
		return nil
	}
	return a.body.warnings
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
	conf.NextProtos = []string{"h2", "http/1.1"}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dialPlain,
			DialTLSContext:         dialTLS(conf.Clone()),
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
