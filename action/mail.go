package action

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/microhq/monitor-srv/setting"
	"github.com/microhq/monitor-srv/text"
)

// mailKeys are the keys of a mail action; down to bcc they are goma's.
type mailKeys struct {
	// From is the sender. Required.
	From string `toml:"from"`
	// To gets every event; InitTo, FailTo and RecoverTo get one each. Reminders
	// go where failures go. Without an address for an event no mail is sent.
	To        []string `toml:"to"`
	InitTo    []string `toml:"init_to"`
	FailTo    []string `toml:"fail_to"`
	RecoverTo []string `toml:"recover_to"`
	// Subject and Body are templates.
	Subject string `toml:"subject"`
	Body    string `toml:"body"`
	// Server is HOST:PORT; localhost:25.
	Server string `toml:"server"`
	// User and Password log in, if the server asks for it.
	User     string         `toml:"user"`
	Password setting.Secret `toml:"password"`
	// Header adds headers that begin with X-.
	Header map[string]string `toml:"header"`
	// Bcc leaves out the header To.
	Bcc bool `toml:"bcc"`

	// PasswordFile and PasswordEnv say where the password is, in place of it.
	PasswordFile string `toml:"password_file"`
	PasswordEnv  string `toml:"password_env"`
	// TLS is "starttls" (must be offered), "tls" (from the first byte) or "none".
	// Without it, port 465 means "tls", and elsewhere STARTTLS is used if it is
	// offered, as goma did.
	TLS string `toml:"tls"`
	// CAFile, ServerName and InsecureSkipVerify say whom to trust.
	CAFile             string `toml:"ca_file"`
	ServerName         string `toml:"server_name"`
	InsecureSkipVerify bool   `toml:"insecure_skip_verify"`
}

const (
	// The subject of a failure is goma's; the others begin with the same words, and
	// tell bad news from good without opening the mail.
	defaultSubject = `alert from {{ .Monitor }} on {{ .Host }}{{if ne .Event "fail"}}: {{ .Event }}{{end}}`

	defaultBody = `Monitor: {{ .Monitor }}
Host: {{ .Host }}
Date: {{ .Date }}
Event: {{ .Event }}
Value: {{printf "%g" .Value}}
Duration: {{ .Duration }}
Version: {{ .Version }}
Incident: {{ .Incident }}
{{if .Error}}Error: {{ .Error }}
{{end}}{{if .Incident}}Since: {{ .Since }}
{{end}}{{range $name, $text := .Labels}}{{ $name }}: {{ $text }}
{{end}}`

	// mailTimeout is how long a whole conversation with a server may take.
	mailTimeout = 30 * time.Second
)

// ownHeader is what a user may call a header.
var customHeaderName = regexp.MustCompile(`(?i)^X-[a-z0-9-]+$`)

// mailAction sends mails, several notices in one.
type mailAction struct {
	from          *mail.Address
	to            map[Event][]*mail.Address
	subject       *template.Template
	body          *template.Template
	customSubject bool // the subject is the user's
	customBody    bool // the body is the user's
	header        map[string]string
	bcc           bool
	host          string // ours
	user, pass    string
	server        mailServer
	secrets       *redactor
	log           *slog.Logger
	timeout       time.Duration

	mu        sync.Mutex          // guards the following field
	delivered map[string][]string // who needs no mail of an id any more, while others do
}

// server is how to reach a mail server.
type mailServer struct {
	host, port string
	mode       string // of TLS: starttls, tls, none, or empty for STARTTLS if offered
	tls        *tls.Config
}

func newMail(decode func(any) error, env Env) (Action, error) {
	keys := mailKeys{Subject: defaultSubject, Body: defaultBody, Server: "localhost:25"}
	if err := decode(&keys); err != nil {
		return nil, err
	}
	a := &mailAction{
		header: keys.Header, bcc: keys.Bcc, host: text.Line(env.host(), 200), user: keys.User, log: env.log(), timeout: mailTimeout,
		customSubject: keys.Subject != defaultSubject, customBody: keys.Body != defaultBody,
	}
	for _, step := range []func(mailKeys) error{a.setAddresses, a.setTexts, a.setServer} {
		if err := step(keys); err != nil {
			return nil, err
		}
	}
	pass, err := setting.SecretFrom("password", keys.Password, keys.PasswordFile, keys.PasswordEnv)
	if err != nil {
		return nil, err
	}
	if keys.User == "" && !pass.IsZero() {
		return nil, errors.New("password is of no use without user")
	}
	a.pass = pass.Reveal()
	a.secrets = newRedactor(a.pass)
	return a, nil
}

func (a *mailAction) setAddresses(keys mailKeys) error {
	if keys.From == "" {
		return errors.New("from is missing: give the address of the sender")
	}
	var err error
	if a.from, err = mail.ParseAddress(keys.From); err != nil {
		return fmt.Errorf("from: %q is not an address: %w", keys.From, err)
	}
	a.to = map[Event][]*mail.Address{}
	known := map[string]*mail.Address{}
	for _, k := range []struct {
		key    string
		list   []string
		events []Event
	}{
		{"to", keys.To, []Event{Init, Fail, Repeat, Recover}},
		{"init_to", keys.InitTo, []Event{Init}},
		{"fail_to", keys.FailTo, []Event{Fail, Repeat}},
		{"recover_to", keys.RecoverTo, []Event{Recover}},
	} {
		for _, text := range k.list {
			parsed, err := mail.ParseAddress(text)
			if err != nil {
				return fmt.Errorf("%s: %q is not an address: %w", k.key, text, err)
			}
			address := cmp.Or(known[parsed.Address], parsed)
			known[parsed.Address] = address
			for _, e := range k.events {
				if !slices.Contains(a.to[e], address) {
					a.to[e] = append(a.to[e], address)
				}
			}
		}
	}
	return nil
}

func (a *mailAction) setTexts(keys mailKeys) (err error) {
	if a.subject, err = parseTemplate("subject", keys.Subject); err != nil {
		return err
	}
	if a.body, err = parseTemplate("body", keys.Body); err != nil {
		return err
	}
	for name, value := range keys.Header {
		if !customHeaderName.MatchString(name) {
			return fmt.Errorf("header %q must begin with X- and hold letters, digits and '-' only", name)
		}
		if strings.EqualFold(name, headerIncident) || text.Line(value, len(value)) != value {
			return fmt.Errorf("header %q is ours, or its value is not one printable line", name)
		}
	}
	return nil
}

func (a *mailAction) setServer(keys mailKeys) error {
	host, port, err := net.SplitHostPort(keys.Server)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("server: %q is not HOST:PORT", keys.Server)
	}
	switch port { // names that not every system knows
	case "smtp", "mail":
		port = "25"
	case "submission":
		port = "587"
	case "urd", "ssmtp", "smtps", "submissions":
		port = "465"
	}
	mode := keys.TLS
	switch {
	case mode == "" && port == "465":
		mode = "tls"
	case mode != "" && mode != "starttls" && mode != "tls" && mode != "none":
		return fmt.Errorf("tls: unknown mode %q: give starttls, tls or none", keys.TLS)
	}
	conf, err := setting.TLS{CAFile: keys.CAFile, ServerName: keys.ServerName, InsecureSkipVerify: keys.InsecureSkipVerify}.Config()
	if err != nil {
		return err
	}
	if conf.ServerName == "" {
		conf.ServerName = host
	}
	a.server = mailServer{host: host, port: port, mode: mode, tls: conf}
	return nil
}

// Groups tells that one mail may list several notices.
func (a *mailAction) Groups() bool { return true }

// Deadline returns how long the conversation with the server may take.
func (a *mailAction) Deadline() time.Duration { return a.timeout }

// String names the action by its server.
func (a *mailAction) String() string {
	return "mail by " + net.JoinHostPort(a.server.host, a.server.port)
}

// Notify sends each recipient one mail that tells of all notices meant for it.
// Recipients that are to hear the same get the same mail. Those that got theirs
// in an attempt that failed later are left out of the next.
func (a *mailAction) Notify(ctx context.Context, ns []Notification) error {
	if len(ns) == 0 {
		return errNoNotification
	}
	letters, err := a.messages(ns)
	if err != nil {
		return &Permanent{fmt.Errorf("writing a mail: %w", err)}
	}
	if len(letters) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, a.timeout, fmt.Errorf("no answer within %v", a.timeout))
	defer cancel()
	if err := a.sendAll(ctx, letters); err != nil {
		return fmt.Errorf("sending a mail by %s: %w", net.JoinHostPort(a.server.host, a.server.port), a.secrets.err(err))
	}
	return nil
}
