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
	// To receives failures, reminders and recoveries; InitTo, FailTo and RecoverTo
	// receive one event each. Reminders go to FailTo. For an event without an address
	// no mail is sent. In goma, To receives starts too.
	To        []string `toml:"to"`
	InitTo    []string `toml:"init_to"`
	FailTo    []string `toml:"fail_to"`
	RecoverTo []string `toml:"recover_to"`
	// Subject and Body are templates.
	Subject string `toml:"subject"`
	Body    string `toml:"body"`
	// Server is HOST:PORT; default localhost:25.
	Server string `toml:"server"`
	// User and Password log in. It is an error if the server offers no login.
	User     string         `toml:"user"`
	Password setting.Secret `toml:"password"`
	// Header adds headers whose names begin with X-.
	Header map[string]string `toml:"header"`
	// Bcc omits the header To.
	Bcc bool `toml:"bcc"`

	// PasswordFile and PasswordEnv say where the password is read from instead.
	PasswordFile string `toml:"password_file"`
	PasswordEnv  string `toml:"password_env"`
	// Helo is the name of this machine in EHLO; default its full name.
	Helo string `toml:"helo"`
	// TLS is "starttls" (required), "tls" (from the first byte) or "none". Without
	// it, port 465 means "tls"; on other ports STARTTLS is used if it is offered, as
	// goma did.
	TLS string `toml:"tls"`
	// CAFile, ServerName and InsecureSkipVerify control how the server is verified.
	CAFile             string `toml:"ca_file"`
	ServerName         string `toml:"server_name"`
	InsecureSkipVerify bool   `toml:"insecure_skip_verify"`
}

const (
	// The subject of a failure is goma's. The others begin with the same words and
	// end with the event.
	defaultSubject = `alert from {{ .Monitor }} on {{ .Host }}{{if ne .Event "fail"}}: {{ .Event }}{{end}}`

	defaultBody = `Monitor: {{ .Monitor }}
Host: {{ .Host }}
Date: {{ .Date }}
Event: {{ .Event }}
Value: {{printf "%g" .Value}}
Duration: {{ .Duration }}
Version: {{ .Version }}
{{if .Incident}}Incident: {{ .Incident }}
{{end}}{{if .Error}}Error: {{ .Error }}
{{end}}{{if .Incident}}Since: {{ .Since }}
{{end}}{{range $name, $text := .Labels}}{{ $name }}: {{ $text }}
{{end}}`

	// mailTimeout bounds an SMTP session.
	mailTimeout = 30 * time.Second
)

// customHeaderName matches the header names that users may set.
var customHeaderName = regexp.MustCompile(`(?i)^X-[a-z0-9-]+$`)

// heloPattern matches a host name and an address literal of RFC 5321.
var heloPattern = regexp.MustCompile(`^([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[(IPv6:)?[0-9A-Fa-f.:]+\])$`)

// mailAction sends mails. One mail may hold several notifications.
type mailAction struct {
	from          *mail.Address
	to            map[Event][]*mail.Address
	subject       *template.Template
	body          *template.Template
	customSubject bool // subject is not the default
	customBody    bool // body is not the default
	header        map[string]string
	bcc           bool
	host          string // name of this machine
	helo          string // replaces the full name of this machine, if set
	resolver      *net.Resolver
	user, pass    string
	server        mailServer
	secrets       *redactor
	log           *slog.Logger
	timeout       time.Duration

	mu        sync.Mutex          // guards the following field
	delivered map[string][]string // recipients that have the mail of an id or are refused, while others need a retry
}

// mailServer is the address of a mail server and how to use TLS with it.
type mailServer struct {
	host, port string
	mode       string // starttls, tls, none, or empty for STARTTLS if offered
	tls        *tls.Config
}

func newMail(decode func(any) error, env Env) (Action, error) {
	keys := mailKeys{Subject: defaultSubject, Body: defaultBody, Server: "localhost:25"}
	if err := decode(&keys); err != nil {
		return nil, err
	}
	a := &mailAction{
		header: keys.Header, bcc: keys.Bcc, host: text.Line(env.host(), 200), resolver: env.Resolver, user: keys.User, log: env.log(), timeout: mailTimeout,
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
		return nil, errors.New("password requires user")
	}
	a.pass = pass.Reveal()
	a.secrets = newRedactor(a.pass)
	return a, nil
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
			return fmt.Errorf("header %q is reserved, or its value is not one printable line", name)
		}
	}
	return nil
}

func (a *mailAction) setServer(keys mailKeys) error {
	if strings.ContainsAny(keys.Server, "@/") { // may hold a password: it is not shown
		return errors.New("server is not HOST:PORT: give the host and the port only, and the login in user and password")
	}
	host, port, err := net.SplitHostPort(keys.Server)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("server: %q is not HOST:PORT", keys.Server)
	}
	if host, err = asciiDomain(host); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if a.helo, err = asciiDomain(keys.Helo); err != nil || a.helo != "" && !heloPattern.MatchString(a.helo) {
		return fmt.Errorf("helo: %q is not a host name such as monitor.example.org, or an address in brackets", keys.Helo)
	}
	switch port { // service names that /etc/services may lack
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
	conf.ServerName = cmp.Or(conf.ServerName, setting.WithoutZone(host))
	a.server = mailServer{host: host, port: port, mode: mode, tls: conf}
	return nil
}

// Groups reports that one mail may hold several notifications.
func (a *mailAction) Groups() bool { return true }

// Deadline returns how long an SMTP session may take.
func (a *mailAction) Deadline() time.Duration { return a.timeout }

// Kind returns "mail".
func (a *mailAction) Kind() string { return "mail" }

// Inits says that starts are sent if they have recipients.
func (a *mailAction) Inits() (atOnce, onceGood bool) { return false, len(a.to[Init]) > 0 }

// String names the action by its server.
func (a *mailAction) String() string {
	return "mail by " + net.JoinHostPort(a.server.host, a.server.port)
}

// Notify sends each recipient one mail with all notifications for it. Recipients of
// the same notifications share a mail. After a failed attempt, the next one leaves
// out the recipients that already have their mail.
func (a *mailAction) Notify(ctx context.Context, ns []Notification) error {
	if len(ns) == 0 {
		return errNoNotification
	}
	messages, err := a.messages(ns)
	if err != nil {
		return &Permanent{fmt.Errorf("composing a mail: %w", err)}
	}
	if len(messages) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, a.timeout, fmt.Errorf("no answer within %v", a.timeout))
	defer cancel()
	if err := a.sendAll(ctx, messages); err != nil {
		return fmt.Errorf("sending a mail by %s: %w", net.JoinHostPort(a.server.host, a.server.port), a.secrets.err(err))
	}
	return nil
}
