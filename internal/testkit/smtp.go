package testkit

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// BadSMTPServer is a mail server that fails at one stage: banner, EHLO, STARTTLS,
// AUTH, MAIL, RCPT, DATA or "." (after the mail). It stores the mails it got, also
// those it did not acknowledge.
type BadSMTPServer struct {
	Addr string

	Mu        sync.Mutex // guards all following fields
	stage     string
	FailAfter int      // mails that it accepts before it fails
	fault     string   // "hang", "drop", "flood", "drip", or a reply such as "451 later"
	offer     []string // extensions
	Mails     []string
	Logins    []string // the AUTH commands received
}

// NewBadSMTPServer starts a server that fails at a stage and offers some extensions.
func NewBadSMTPServer(t *testing.T, stage, fault string, offer ...string) *BadSMTPServer {
	s := &BadSMTPServer{stage: stage, fault: fault, offer: offer}
	s.Addr = ServeConns(t, s.Serve)
	return s
}

// Heal makes the server work from now on.
func (s *BadSMTPServer) Heal() {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.stage = ""
}

// Received returns the mails, oldest first.
func (s *BadSMTPServer) Received() []string {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return slices.Clone(s.Mails)
}

// answer sends the reply of a stage, or fails. It reports whether the session goes
// on.
func (s *BadSMTPServer) answer(c net.Conn, stage, text string) bool {
	s.Mu.Lock()
	fault := ""
	if s.stage == stage && len(s.Mails) >= s.FailAfter {
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

// Serve runs one session.
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
			s.Logins = append(s.Logins, text)
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
	text, err := ReadMailContent(r)
	if err != nil {
		return false
	}
	s.Mu.Lock()
	s.Mails = append(s.Mails, text)
	s.Mu.Unlock()
	return s.answer(c, ".", "250 taken")
}

// ReadMailContent reads what a client sends after DATA, up to the final dot.
func ReadMailContent(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return b.String(), err
		}
		b.WriteString(line)
	}
}

// MailKeys returns the TOML keys of a mail action: the server and more.
func MailKeys(addr, more string) string {
	return fmt.Sprintf("from = \"Monitor <monitor@example.org>\"\nserver = %q\n%s\n", addr, more)
}

// NoUser is the reply for a recipient that does not exist.
var NoUser = smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}

// GreyListed is the reply that asks to retry later.
var GreyListed = smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "come again"}

// SMTPStages are the stages at which a BadSMTPServer may fail, in order.
var SMTPStages = []string{"banner", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "."}
