package action

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
	"github.com/nicholas-fedor/shoutrrr/pkg/util/jsonclient"

	"github.com/microhq/monitor-srv/setting"
	"github.com/microhq/monitor-srv/text"
)

// notifyKeys are the keys of a notify action: the URL in one of three ways.
type notifyKeys struct {
	// URL names the service and whom to tell, such as
	// "slack://hook:TOKEN@webhook" or "ntfy://ntfy.sh/TOPIC".
	URL setting.Secret `toml:"url"`
	// URLFile and URLEnv say where the URL is, in place of it.
	URLFile string `toml:"url_file"`
	URLEnv  string `toml:"url_env"`
}

const (
	// maxMessage bounds a message, in bytes: below what the services take
	// (Discord 2,000 characters, Telegram and Slack more).
	maxMessage = 1900
	// maxStuck bounds the calls of the library that outlived their attempt: it
	// knows no deadline.
	maxCalls = 3
)

// notifyAction tells a chat or push service.
type notifyAction struct {
	service string // the scheme of the URL
	url     string
	secrets *redactor
	clients chan *notifyClient // one for each call of the library
	send    func(s *notifyClient, message string, params types.Params) error
}

// outlet is one way to the service, used by one call at a time. It is kept, because
// some services of the library make an HTTP transport of their own, which holds a
// connection and is never closed.
type notifyClient struct{ service types.Service }

func newNotify(decode func(any) error, _ Env) (Action, error) {
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
	a := &notifyAction{url: strings.TrimSpace(text.Reveal()), clients: make(chan *notifyClient, maxCalls)}
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
	if a.service == "matrix" {
		return a, nil // logs in when it is made
	}
	if _, err := a.open(); err != nil {
		return nil, err
	}
	return a, nil
}

// secretsOf returns a redactor of all of a URL but its scheme: each service has
// another place for its token.
func secretsOf(u *url.URL) *redactor {
	list := []string{u.Host, u.Hostname(), u.Path, u.EscapedPath(), u.RawQuery, u.User.String(), u.User.Username(), u.Fragment, u.Opaque}
	for _, values := range u.Query() {
		list = append(list, values...)
	}
	list = longSecrets(list)
	if password, ok := u.User.Password(); ok {
		list = append(list, password)
	}
	return newRedactor(list...)
}

// open makes the service of the URL, which does no I/O but for matrix.
func (a *notifyAction) open() (types.Service, error) {
	if a.service == "logger" {
		return nil, errors.New("url: service \"logger\" tells nobody")
	}
	service, err := new(router.ServiceRouter).NewService(a.service)
	if err != nil {
		return nil, fmt.Errorf("url: unknown service %q", a.service)
	}
	u, err := url.Parse(a.url)
	if err == nil && strings.Contains(u.Scheme, "+") {
		custom, ok := service.(types.CustomURLService)
		if !ok {
			return nil, fmt.Errorf("url: service %q takes no URL of another scheme", a.service)
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

// Groups tells that one message may list several notices, except where a service
// keeps incidents itself.
func (a *notifyAction) Groups() bool { return !a.tracksIncidents() }

// tracks reports whether the service knows incidents by our ids.
func (a *notifyAction) tracksIncidents() bool { return a.service == "pagerduty" }

// pages reports whether every word to the service opens an incident there and
// wakes somebody, so that a start is none for it.
func (a *notifyAction) opensIncidents() bool {
	return a.service == "pagerduty" || a.service == "opsgenie"
}

// String names the action by its service.
func (a *notifyAction) String() string { return "notify by " + a.service }

// Deadline returns how long a service may take.
func (a *notifyAction) Deadline() time.Duration { return DefaultTimeout }

// Notify sends one message that lists ns. The library knows no context: a call
// that outlives its attempt is left behind, and after maxStuck of them there
// are no more attempts until one of them returns.
func (a *notifyAction) Notify(ctx context.Context, ns []Notification) error {
	if len(ns) == 0 {
		return errNoNotification
	}
	if a.opensIncidents() {
		ns = slices.DeleteFunc(slices.Clone(ns), func(n Notification) bool { return n.Event == Init })
		if len(ns) == 0 {
			return nil
		}
	}
	var s *notifyClient
	select {
	case s = <-a.clients:
	default:
		return fmt.Errorf("notifying by %s: %d earlier attempts still wait for an answer", a.service, maxCalls)
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				s.service = nil
				done <- fmt.Errorf("panic: %T", p)
			}
			a.clients <- s
		}()
		done <- a.send(s, message(ns), a.params(ns[0]))
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

// call sends a message by an outlet.
func (a *notifyAction) call(s *notifyClient, message string, params types.Params) error {
	if s.service == nil {
		service, err := a.open()
		if err != nil {
			return err
		}
		s.service = service
	}
	err := s.service.Send(message, &params)
	if err != nil && a.service == "matrix" {
		s.service = nil // logs in anew: what it was refused for may be its session
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

// judge makes an error permanent if it is an answer that will not change, and
// unreachable if no connection was made.
func classify(err error) error {
	var answer jsonclient.Error
	if errors.As(err, &answer) && answer.StatusCode >= 400 && answer.StatusCode < 500 &&
		answer.StatusCode != 408 && answer.StatusCode != 429 {
		return &Permanent{err}
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return &Unreachable{err}
	}
	return err
}

// message returns ns as a message: failures first, so that they are told even if
// not all fits.
func message(ns []Notification) string {
	if len(ns) == 1 {
		return fmt.Sprintf("%s (on %s)", summary(ns[0]), text.Line(ns[0].Host, 200))
	}
	text, told := fmt.Sprintf("%s on %s", countSummary(ns), text.Line(ns[0].Host, 200)), 0
	for _, event := range []Event{Fail, Repeat, Recover, Init} {
		for _, n := range ns {
			if n.Event != event {
				continue
			}
			next := "\n" + summary(n)
			if len(text)+len(next) > maxMessage {
				return text + fmt.Sprintf("\n... and %d more", len(ns)-told)
			}
			text += next
			told++
		}
	}
	return text
}
