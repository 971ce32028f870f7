package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

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
	text, err := io.ReadAll(r)
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
		cert, box.CAFile = certificate(tb)
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

// certificate makes a certificate for 127.0.0.1 and writes its authority to a file.
func certificate(tb testing.TB) (tls.Certificate, string) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mailbox"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// ReadBody decodes the body of a mail.
func ReadBody(m *mail.Message) (string, error) {
	r := m.Body
	if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		r = quotedprintable.NewReader(r)
	}
	b, err := io.ReadAll(r)
	return strings.ReplaceAll(string(b), "\r\n", "\n"), err
}
