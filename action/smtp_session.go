package action

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail/smtp"

	"github.com/microhq/monitor-srv/text"
)

// smtpSession is a conversation with a mail server. Unlike the library's client it
// reads the keywords of a server in any spelling, and its errors say at which command
// the server refused. docs/decisions/2026-11-30-smtp-session.md has the reasons.
type smtpSession struct {
	conn    net.Conn
	replies *bufio.Reader
	name    string            // of this machine, for EHLO
	offers  map[string]string // what the server offers: keywords in upper case, with parameters
	// accepted says that the server has accepted a recipient, so that it takes mail
	// from us and a refusal is about the mail.
	accepted bool
}

// smtpReply is a reply that refuses a command.
type smtpReply struct {
	command string // without arguments
	code    int
	text    string
}

func (r *smtpReply) Error() string { return fmt.Sprintf("%s: %d %s", r.command, r.code, r.text) }

// startSMTP begins a session on a new connection, up to the reply to EHLO.
func startSMTP(conn net.Conn, name string) (*smtpSession, error) {
	s := &smtpSession{name: name}
	s.use(conn)
	if _, err := s.expect("greeting", 2); err != nil {
		return nil, err
	}
	return s, s.hello()
}

func (s *smtpSession) use(conn net.Conn) { s.conn, s.replies = conn, bufio.NewReader(conn) }

// ask sends a line and returns the reply, which must be of a class: 2 or 3.
func (s *smtpSession) ask(command string, class int, line string) (string, error) {
	if strings.ContainsAny(line, "\r\n") {
		return "", fmt.Errorf("%s: the command would hold a line break", command)
	}
	if _, err := io.WriteString(s.conn, line+"\r\n"); err != nil {
		return "", err
	}
	return s.expect(command, class)
}

// expect reads the reply to a command. Its error is a *smtpReply if the reply is of
// another class.
func (s *smtpSession) expect(command string, class int) (string, error) {
	code, lines, err := s.reply()
	if err == nil && code/100 != class {
		err = &smtpReply{command, code, text.Line(lines, 300)}
	}
	return lines, err
}

// reply reads one reply, which may have several lines. A line may lack everything
// behind the code, as RFC 5321 asks clients to accept.
func (s *smtpSession) reply() (code int, lines string, err error) {
	var all strings.Builder
	for {
		line, err := s.replies.ReadString('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, "", err
		}
		line = strings.TrimRight(line, "\r\n")
		if code, _ = strconv.Atoi(line[:min(3, len(line))]); code < 200 || code > 599 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			return 0, "", fmt.Errorf("the server sent %q, which is no reply of SMTP", text.Line(line, 100))
		}
		_, _ = all.WriteString(strings.TrimSpace(line[min(4, len(line)):]))
		if len(line) <= 3 || line[3] == ' ' {
			return code, all.String(), nil
		}
		_ = all.WriteByte('\n')
	}
}

// hello introduces this machine and notes what the server offers. A server that does
// not know EHLO is asked by HELO and offers nothing.
func (s *smtpSession) hello() error {
	s.offers = map[string]string{}
	lines, err := s.ask("EHLO", 2, "EHLO "+s.name)
	var refused *smtpReply
	if errors.As(err, &refused) && refused.code >= 500 {
		if _, err := s.ask("HELO", 2, "HELO "+s.name); err != nil {
			return fmt.Errorf("%w, and %w", refused, err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	_, offered, _ := strings.Cut(lines, "\n")
	for line := range strings.Lines(offered) {
		// Old servers write "AUTH=LOGIN PLAIN", some in addition to "AUTH LOGIN PLAIN".
		line = strings.TrimSpace(line)
		keyword, parameters := line, ""
		if end := strings.IndexAny(line, " ="); end >= 0 {
			keyword, parameters = line[:end], line[end+1:]
		}
		keyword = strings.ToUpper(keyword)
		s.offers[keyword] = strings.TrimSpace(s.offers[keyword] + " " + parameters)
	}
	return nil
}

func (s *smtpSession) offered(keyword string) bool {
	_, ok := s.offers[keyword]
	return ok
}

// startTLS encrypts the session. What the server offered before counts no longer.
func (s *smtpSession) startTLS(ctx context.Context, conf *tls.Config) error {
	if _, err := s.ask("STARTTLS", 2, "STARTTLS"); err != nil {
		return err
	}
	if s.replies.Buffered() > 0 {
		return errors.New("starting TLS: the server sent more than its reply, unencrypted")
	}
	secure := tls.Client(s.conn, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("starting TLS: %w", err)
	}
	s.use(secure)
	return s.hello()
}

func (s *smtpSession) secure() bool {
	_, ok := s.conn.(*tls.Conn)
	return ok
}

// mechanisms returns how the server lets clients log in, in upper case.
func (s *smtpSession) mechanisms() []string {
	return strings.Fields(strings.ToUpper(s.offers["AUTH"]))
}

// login logs in by one mechanism.
func (s *smtpSession) login(mechanism smtp.Auth, host string) error {
	name, response, err := mechanism.Start(&smtp.ServerInfo{Name: host, TLS: s.secure(), Auth: s.mechanisms()})
	if err != nil {
		return err
	}
	command := "AUTH " + name
	line := command
	if len(response) > 0 {
		line += " " + base64.StdEncoding.EncodeToString(response)
	}
	const most = 8 // challenges; LOGIN has two
	for range most {
		challenge, err := s.ask(command, 3, line)
		var end *smtpReply
		if errors.As(err, &end) && end.code/100 == 2 {
			return nil
		}
		if err != nil {
			return err
		}
		asked, err := base64.StdEncoding.DecodeString(challenge)
		if err != nil {
			asked = []byte(challenge) // some servers ask in clear text
		}
		next, err := mechanism.Next(asked, true)
		if errors.Is(err, smtp.ErrUnexpectedServerChallange) && len(asked) == 0 {
			next, err = response, nil // a server that does not look at the first line
		}
		if err != nil {
			_, _ = s.ask(command, 5, "*") // RFC 4954: end the exchange
			return err
		}
		line = base64.StdEncoding.EncodeToString(next)
	}
	return fmt.Errorf("%s: the server asks without end", command)
}

// mail begins a mail.
func (s *smtpSession) mail(from string, utf8 bool) error {
	line := "MAIL FROM:" + path(from)
	if utf8 {
		line += " SMTPUTF8"
	}
	_, err := s.ask("MAIL", 2, line)
	return err
}

// recipient adds a recipient to the mail.
func (s *smtpSession) recipient(to string) error {
	_, err := s.ask("RCPT", 2, "RCPT TO:"+path(to))
	s.accepted = s.accepted || err == nil
	return err
}

// path returns an address as MAIL and RCPT take it: in angle brackets, with the part
// before the @ in quotes if it needs them.
func path(address string) string { return (&mail.Address{Address: address}).String() }

// beginData asks to send the content of the mail.
func (s *smtpSession) beginData() error {
	_, err := s.ask("DATA", 3, "DATA")
	return err
}

// sendContent sends the content. The mail may be accepted even if this fails.
func (s *smtpSession) sendContent(content []byte) error {
	w := textproto.NewWriter(bufio.NewWriter(s.conn)).DotWriter()
	if _, err := w.Write(content); err != nil {
		return connectionError(err) // without its end, no server accepts it
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err := s.expect("content", 2)
	return err
}

// reset drops the mail that was begun.
func (s *smtpSession) reset() error {
	_, err := s.ask("RSET", 2, "RSET")
	return err
}

// quit ends the session.
func (s *smtpSession) quit() { _, _ = s.ask("QUIT", 2, "QUIT") }

// sessionCodes are the codes that refuse the client or its session in reply to a
// command about a mail: RFC 5321, RFC 4954, RFC 7504.
var sessionCodes = [...]int{502, 503, 504, 521, 530, 534, 535, 538}

// refusesSession reports whether a reply to MAIL, RCPT or DATA says that the server
// takes no mail from this client now, rather than that it does not take this mail. Many
// servers judge the client's name, address and login at RCPT only.
func (r *smtpReply) refusesSession() bool {
	status, _, _ := strings.Cut(r.text, " ") // RFC 3463
	switch {
	case strings.HasPrefix(status, "5.1."), strings.HasPrefix(status, "5.2."), strings.HasPrefix(status, "5.6."), status == "5.3.4":
		return false // address, mailbox, content, size
	case strings.HasPrefix(status, "5.3."), strings.HasPrefix(status, "5.5."), strings.HasPrefix(status, "5.7."):
		return true // server, protocol, policy
	}
	return slices.Contains(sessionCodes[:], r.code)
}
