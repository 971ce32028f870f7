package testkit

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
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

// received is one mail as a server took it.
type ReceivedMail struct {
	From string
	To   []string
	text string
	User string // who was logged in
	TLS  bool
}

// parse returns the header and the body of the mail.
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

// mailbox is a real mail server that keeps what it is sent.
type Mailbox struct {
	Addr   string
	CaFile string
	Refuse map[string]error // recipients that are not taken

	mu    sync.Mutex // guards the following field
	mails []ReceivedMail
}

// taken returns the mails, oldest first.
func (m *Mailbox) Taken() []ReceivedMail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mails)
}

// session is one conversation with a mailbox.
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

// newMailbox starts a mail server: in the clear, with STARTTLS on offer, or with
// TLS from the first byte.
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
		cert, box.CaFile = certificate(tb)
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

// certificate makes a certificate for 127.0.0.1 and a file of its authority.
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

// badServer is a mail server that misbehaves at one stage: banner, EHLO,
// STARTTLS, AUTH, MAIL, RCPT, DATA or "." (after the mail). It keeps the mails
// it got, also those it did not acknowledge.
type BadSMTPServer struct {
	Addr string

	Mu    sync.Mutex // guards all following fields
	stage string
	Spare int      // mails that it takes before it misbehaves
	fault string   // "hang", "drop", "flood", "drip", or an answer such as "451 later"
	offer []string // extensions
	Mails []string
	Login []string // what came with AUTH
}

func NewBadSMTPServer(t *testing.T, stage, fault string, offer ...string) *BadSMTPServer {
	s := &BadSMTPServer{stage: stage, fault: fault, offer: offer}
	s.Addr = ServeConns(t, s.Serve)
	return s
}

// heal makes the server behave from now on.
func (s *BadSMTPServer) Heal() {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.stage = ""
}

func (s *BadSMTPServer) Taken() []string {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return slices.Clone(s.Mails)
}

// answer gives the answer of a stage, or misbehaves; it reports whether to go
// on.
func (s *BadSMTPServer) answer(c net.Conn, stage, text string) bool {
	s.Mu.Lock()
	fault := ""
	if s.stage == stage && len(s.Mails) >= s.Spare {
		fault = s.fault
	}
	s.Mu.Unlock()
	switch fault {
	case "":
	case "hang":
		_, _ = io.Copy(io.Discard, c)
		return false
	case "drop":
		return false
	case "flood":
		WriteForever(c, "250-"+strings.Repeat("x", 1000), 0)
		return false
	case "drip":
		WriteForever(c, "2", 20*time.Millisecond)
		return false
	default:
		text = fault
	}
	_, err := io.WriteString(c, text+"\r\n")
	return err == nil
}

func (s *BadSMTPServer) Serve(c net.Conn) {
	r := bufio.NewReader(c)
	if !s.answer(c, "banner", "220 bad.example") {
		return
	}
	for {
		text, err := r.ReadString('\n')
		if err != nil {
			return
		}
		text = strings.TrimSpace(text)
		verb, _, _ := strings.Cut(strings.ToUpper(text), " ")
		var ok bool
		switch verb {
		case "EHLO":
			ok = s.answer(c, verb, "250-"+strings.Join(append([]string{"bad.example"}, s.offer...), "\r\n250-")+"\r\n250 HELP")
		case "STARTTLS":
			ok = s.answer(c, verb, "220 go")
		case "AUTH":
			s.Mu.Lock()
			s.Login = append(s.Login, text)
			s.Mu.Unlock()
			ok = s.answer(c, verb, "235 in")
		case "QUIT":
			s.answer(c, verb, "221 bye")
			return
		case "DATA":
			s.Mu.Lock()
			refused := s.stage == verb
			s.Mu.Unlock()
			ok = s.answer(c, verb, "354 go") && (refused || s.data(c, r))
		default:
			ok = s.answer(c, verb, "250 fine")
		}
		if !ok {
			return
		}
	}
}

func (s *BadSMTPServer) data(c net.Conn, r *bufio.Reader) bool {
	var b strings.Builder
	for {
		text, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if text == ".\r\n" {
			break
		}
		b.WriteString(text)
	}
	s.Mu.Lock()
	s.Mails = append(s.Mails, b.String())
	s.Mu.Unlock()
	return s.answer(c, ".", "250 taken")
}

// mailTo returns the keys of a mail action.
func MailKeys(addr, more string) string {
	return fmt.Sprintf("from = \"Monitor <monitor@example.org>\"\nserver = %q\n%s\n", addr, more)
}

// noUser is the answer for a recipient that does not exist.
var NoUser = smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}

// greyListed is the answer that asks to come again.
var GreyListed = smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "come again"}

// The stages at which a server may misbehave, in their order.
var Stages = []string{"banner", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "."}

// readBody decodes the body of a mail.
func ReadBody(m *mail.Message) (string, error) {
	r := m.Body
	if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		r = quotedprintable.NewReader(r)
	}
	b, err := io.ReadAll(r)
	return strings.ReplaceAll(string(b), "\r\n", "\n"), err
}
