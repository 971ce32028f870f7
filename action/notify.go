package action

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/microhq/monitor-srv/loglimit"
	"github.com/microhq/monitor-srv/setting"
	"github.com/microhq/monitor-srv/text"
)

// notifyKeys are the keys of a notify action: the URL in one of three ways.
type notifyKeys struct {
	// URL names the service and the destination, such as "slack://hook:TOKEN@webhook"
	// or "ntfy://ntfy.sh/TOPIC".
	URL setting.Secret `toml:"url"`
	// URLFile and URLEnv say where the URL is read from instead.
	URLFile string `toml:"url_file"`
	URLEnv  string `toml:"url_env"`
	// NotifyInit notifies of starts of monitors too; default false.
	NotifyInit bool `toml:"notify_init"`
}

const (
	// maxMessage bounds a message, in bytes: below the limits of the services
	// (Discord 2,000 characters, Telegram and Slack more).
	maxMessage = 1900
	// maxCalls bounds the concurrent calls of the library, including those that
	// outlive their attempt: it supports no deadline.
	maxCalls = 3
)

// notifyAction sends to a chat or push service.
type notifyAction struct {
	service string // the scheme of the URL
	inits   bool
	url     string
	escape  func(string) string // of the markup that the service is told to read; nil: none
	secrets *redactor
	log     *slog.Logger
	oddly   loglimit.Limiter   // lines about unexpected answers
	clients chan *notifyClient // the free ones of maxCalls
	send    func(c *notifyClient, message string, params types.Params) error
}

// notifyClient is a client of the service, used by one call at a time. It is reused
// because some services of the library create an HTTP transport that is never closed
// and holds a connection.
type notifyClient struct{ service types.Service }

func newNotify(decode func(any) error, env Env) (Action, error) {
	var keys notifyKeys
	if err := decode(&keys); err != nil {
		return nil, err
	}
	text, err := setting.SecretFrom("url", keys.URL, keys.URLFile, keys.URLEnv)
	if err != nil {
		return nil, err
	}
	if text.IsZero() {
		return nil, errors.New("url is missing: give url, url_file or url_env")
	}
	a := &notifyAction{url: strings.TrimSpace(text.Reveal()), inits: keys.NotifyInit, log: env.log(), clients: make(chan *notifyClient, maxCalls)}
	for range maxCalls {
		a.clients <- new(notifyClient)
	}
	a.send = a.call
	u, err := url.Parse(a.url)
	if err != nil || u.Scheme == "" {
		return nil, errors.New("url is not a URL such as \"slack://hook:TOKEN@webhook\"")
	}
	a.service, _, _ = strings.Cut(strings.ToLower(u.Scheme), "+")
	a.secrets = secretsOf(u)
	a.escape = markupOf(a.service, u)
	a.oddly.Every = time.Hour
	if a.service == "http" || a.service == "https" {
		if hook := chatHookOf(u); hook != nil {
			return nil, fmt.Errorf("url: this is a web hook of %s: write it as %q", hook.name, hook.url)
		}
		return nil, errors.New("url: a web hook is an action of type = \"http\", with url_fail and url_recover; for the plain message, url begins with generic+https")
	}
	if a.inits && a.opensIncidents() {
		return nil, fmt.Errorf("notify_init: %q would page somebody at each start: leave it out", a.service)
	}
	if a.service == "matrix" {
		return a, nil // a login needs the network
	}
	if _, err := a.open(); err != nil {
		return nil, err
	}
	return a, nil
}

// secretsOf returns a redactor of every part of a URL but its scheme: each service
// has its token in another part.
func secretsOf(u *url.URL) *redactor {
	list := []string{u.Host, u.Hostname(), u.Path, u.EscapedPath(), u.RawQuery, u.User.String(), u.User.Username(), u.Fragment, u.Opaque}
	for _, values := range u.Query() {
		list = append(list, values...)
	}
	if password, ok := u.User.Password(); ok {
		list = append(list, password)
	}
	return newRedactor(list...)
}

// open creates the service of the URL. It does no I/O except for matrix.
func (a *notifyAction) open() (types.Service, error) {
	if a.service == "logger" {
		return nil, errors.New("url: service \"logger\" notifies nobody")
	}
	service, err := new(router.ServiceRouter).NewService(a.service)
	if err != nil {
		return nil, fmt.Errorf("url: unknown service %q", a.service)
	}
	u, err := url.Parse(a.url)
	if err == nil && strings.Contains(u.Scheme, "+") {
		custom, ok := service.(types.CustomURLService)
		if !ok {
			return nil, fmt.Errorf("url: service %q supports no URL of another scheme", a.service)
		}
		u, err = custom.GetConfigURLFromCustom(u)
	}
	if err == nil {
		err = service.Initialize(u, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("url: service %q: %w", a.service, a.secrets.err(err))
	}
	return service, nil
}

// Groups reports that one message may hold several notifications, unless the service
// tracks incidents itself.
func (a *notifyAction) Groups() bool { return !a.tracksIncidents() }

// tracksIncidents reports whether the service identifies incidents by our ids.
func (a *notifyAction) tracksIncidents() bool { return a.service == "pagerduty" }

// opensIncidents reports whether every message opens an incident and pages somebody.
// Such services are not notified of starts.
func (a *notifyAction) opensIncidents() bool {
	return a.service == "pagerduty" || a.service == "opsgenie"
}

// Kind returns "notify".
func (a *notifyAction) Kind() string { return "notify" }

// Inits says that starts are sent on request.
func (a *notifyAction) Inits() (atOnce, onceGood bool) { return false, a.inits }

// String names the action by its service.
func (a *notifyAction) String() string { return "notify by " + a.service }

// Deadline returns how long an attempt may take.
func (a *notifyAction) Deadline() time.Duration { return DefaultTimeout }

// Notify sends one message that lists ns. The library supports no context: a call
// that outlives its attempt is abandoned, and after maxCalls of them attempts fail
// until one returns.
func (a *notifyAction) Notify(ctx context.Context, ns []Notification) error {
	if len(ns) == 0 {
		return errNoNotification
	}
	var c *notifyClient
	select {
	case c = <-a.clients:
	default:
		return fmt.Errorf("notifying by %s: %d earlier attempts are still waiting for an answer", a.service, maxCalls)
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				c.service = nil
				done <- fmt.Errorf("panic: %T", p)
			}
			a.clients <- c
		}()
		done <- a.send(c, a.message(ns), a.params(ns[0]))
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("notifying by %s: %w", a.service, a.secrets.err(classify(err)))
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("notifying by %s: %w", a.service, context.Cause(ctx))
	}
}

// call sends a message by a client.
func (a *notifyAction) call(c *notifyClient, message string, params types.Params) error {
	if c.service == nil {
		service, err := a.open()
		if err != nil {
			return err
		}
		c.service = service
	}
	err := c.service.Send(message, &params)
	switch {
	case err != nil && a.service == "matrix":
		c.service = nil // the session may have ended: log in again
	case err != nil && accepted(err):
		a.oddly.Log(a.log, slog.LevelWarn, "the service accepted a message with an unexpected answer", func() []any {
			return []any{"service", a.service, "answer", text.Line(a.secrets.text(err.Error()), 300)}
		})
		return nil
	}
	return err
}

// params returns what a service needs besides the message.
func (a *notifyAction) params(n Notification) types.Params {
	if !a.tracksIncidents() || n.Incident == "" {
		return types.Params{}
	}
	params := types.Params{"dedup_key": headerToken(n.Incident), "source": text.Line(n.Host, 200), "action": "trigger"}
	if n.Event == Recover {
		params["action"] = "resolve"
	}
	return params
}
