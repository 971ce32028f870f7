package testkit

import (
	"crypto/tls"
	"errors"
	"io"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// maxMail bounds what is read of a mail, in bytes.
const maxMail = 64 << 20

// ReceivedMail is one mail that a Mailbox accepted.
type ReceivedMail struct {
	From string
	To   []string
	text string
	User string // that was logged in
	TLS  bool
}

// Parse returns the header and the decoded body of the mail.
func (r ReceivedMail) Parse(tb testing.TB) (mail.Header, string) {
	tb.Helper()
	m, err := mail.ReadMessage(strings.NewReader(r.text))
	if err != nil {
		tb.Fatalf("reading a mail: %v\n%s", err, r.text)
	}
	body, err := ReadBody(m)
	if err != nil {
		tb.Fatalf("reading a mail: %v\n%s", err, r.text)
	}
	return m.Header, body
}

// Mailbox is a working mail server that stores what it receives.
type Mailbox struct {
	Addr   string
	CAFile string
	Refuse map[string]error // the error for a refused recipient

	mu    sync.Mutex // guards mails
	mails []ReceivedMail
}

// Received returns the mails, oldest first.
func (m *Mailbox) Received() []ReceivedMail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mails)
}

// session is one SMTP session of a Mailbox.
type session struct {
	box  *Mailbox
	conn *smtp.Conn
	ReceivedMail
}

func (s *session) Reset()        { s.From, s.To = "", nil }
func (s *session) Logout() error { return nil }
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.From = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := s.box.Refuse[to]; err != nil {
		return err
	}
	s.To = append(s.To, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, maxMail))
	if err != nil {
		return err
	}
	s.text = string(text)
	_, s.TLS = s.conn.TLSConnectionState()
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.mails = append(s.box.mails, s.ReceivedMail)
	return nil
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "user" || password != "s3cret-password" {
			return errors.New("wrong")
		}
		s.User = user
		return nil
	}), nil
}

// NewMailbox starts a mail server in mode "none" (no TLS), "starttls" or "tls" (from
// the first byte).
func NewMailbox(tb testing.TB, mode string) *Mailbox {
	tb.Helper()
	box := &Mailbox{Refuse: map[string]error{}}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{box: box, conn: c}, nil
	}))
	server.Domain = "mailbox.example"
	server.AllowInsecureAuth = true
	server.MaxRecipients = 50
	server.ErrorLog = discard{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	box.Addr = l.Addr().String()
	if mode != "none" {
		var cert tls.Certificate
		cert, box.CAFile = SelfSigned(tb, time.Now().Add(time.Hour))
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		if mode == "tls" {
			l = tls.NewListener(l, server.TLSConfig)
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	tb.Cleanup(func() { _ = server.Close(); <-done })
	return box
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

// ReadBody decodes the body of a mail.
func ReadBody(m *mail.Message) (string, error) {
	r := m.Body
	if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		r = quotedprintable.NewReader(r)
	}
	b, err := io.ReadAll(io.LimitReader(r, maxMail))
	return strings.ReplaceAll(string(b), "\r\n", "\n"), err
}
