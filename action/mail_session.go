package action

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/microhq/monitor-srv/text"
)

const (
	// maxReplyBytes bounds all replies of a server in one session.
	maxReplyBytes = 1 << 20
	// quitTimeout bounds the reply to QUIT.
	quitTimeout = time.Second
)

// sendAll sends messages in one SMTP session. Until an attempt succeeds as a whole,
// it remembers the recipients that need no mail of an id any more, so that nobody
// gets a second copy because another recipient failed.
func (a *mailAction) sendAll(ctx context.Context, messages []mailMessage) error {
	a.mu.Lock()
	earlier := a.delivered
	a.mu.Unlock()
	delivered := map[string][]string{}
	err := a.converse(ctx, messages, earlier, delivered)
	if ctx.Err() != nil && err != nil {
		err = withCause(err, context.Cause(ctx))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delivered = nil
	var permanent *Permanent
	if err != nil && !errors.As(err, &permanent) {
		a.delivered = delivered
	}
	return err
}

// converse runs the session. It adds to delivered the recipients that need no mail
// any more.
func (a *mailAction) converse(ctx context.Context, messages []mailMessage, earlier, delivered map[string][]string) error {
	for _, m := range messages {
		delivered[m.id] = earlier[m.id]
	}
	conn, err := a.server.dial(ctx)
	if err != nil {
		return connectionError(err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	client, err := a.startSession(conn)
	if err != nil {
		return stepError(err)
	}
	var later, refused []error
	for _, m := range messages {
		err := a.sendOne(client, m, delivered)
		var permanent *Permanent
		switch {
		case errors.As(err, &permanent):
			refused = append(refused, err)
			delivered[m.id] = addresses(m.to)
		case err != nil:
			later = append(later, err)
		}
	}
	if len(later) == 0 {
		_ = conn.SetDeadline(time.Now().Add(quitTimeout))
		_ = client.Quit()
	}
	switch {
	case len(later) > 0 && slices.ContainsFunc(messages, func(m mailMessage) bool { return len(delivered[m.id]) > 0 }):
		return errors.New(later[0].Error()) // not Unreachable: some recipients have their mail
	case len(later) > 0:
		return later[0]
	case len(refused) == len(messages):
		return refused[0]
	case len(refused) > 0:
		a.log.Error("the mail server refused one of several mails", "server", a.String(), "error", a.secrets.err(refused[0]))
	}
	return nil
}

func addresses(list []*mail.Address) (texts []string) {
	for _, address := range list {
		texts = append(texts, address.Address)
	}
	return texts
}

// sendOne sends one mail to those of its recipients that still need it. It sends it
// even if some of them are refused.
func (a *mailAction) sendOne(client *smtp.Client, m mailMessage, delivered map[string][]string) error {
	rest := slices.DeleteFunc(addresses(m.to), func(to string) bool { return slices.Contains(delivered[m.id], to) })
	if len(rest) == 0 {
		return nil
	}
	client.SkipSMTPUTF8(isASCII(a.from.Address) && isASCII(strings.Join(rest, "")))
	if err := client.Mail("<" + a.from.Address + ">"); err != nil {
		return stepError(err)
	}
	var accepted []string
	var later, refused error
	for _, to := range rest {
		err := stepError(client.Rcpt("<" + to + ">"))
		var permanent *Permanent
		switch {
		case err == nil:
			accepted = append(accepted, to)
		case errors.As(err, &permanent):
			refused = cmp.Or(refused, error(&Permanent{fmt.Errorf("recipient %s: %w", to, permanent.Err)}))
		default:
			later = cmp.Or(later, fmt.Errorf("recipient %s: %w", to, err))
		}
	}
	if len(accepted) == 0 {
		_ = client.Reset()
		return cmp.Or(later, refused)
	}
	if err := sendData(client, m.data); err != nil {
		return err
	}
	delivered[m.id] = append(slices.Clone(delivered[m.id]), accepted...)
	if later == nil && refused != nil {
		a.log.Error("the mail server refused one of several recipients", "server", a.String(), "error", a.secrets.err(refused))
	}
	return later
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > '~' }) < 0
}

// sendData sends the content of a mail. If the connection fails after the whole
// content, a slow server may have accepted the mail, so the error is not Unreachable.
func sendData(client *smtp.Client, text []byte) error {
	w, err := client.Data()
	if err != nil {
		return stepError(err)
	}
	if _, err := w.Write(text); err != nil {
		return stepError(err)
	}
	return replyError(w.Close())
}

// stepError classifies an error of a step before the content is sent: by the reply of
// the server or as a connection error.
func stepError(err error) error { return connectionError(replyError(err)) }

// replyError returns a permanent error for a 5xx reply, and other errors as they are.
func replyError(err error) error {
	var reply *textproto.Error
	if !errors.As(err, &reply) {
		return err
	}
	said := strings.Replace(err.Error(), reply.Error(), fmt.Sprint(reply.Code, " ", reply.Msg), 1)
	err = errors.New(text.Line(said, 300))
	if reply.Code >= 500 {
		return &Permanent{err}
	}
	return err
}

// connectionError makes an error of the connection Unreachable.
func connectionError(err error) error {
	var broken net.Error
	if errors.As(err, &broken) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Unreachable{err}
	}
	return err
}

// withCause returns cause, as Unreachable if err is.
func withCause(err, cause error) error {
	var unreachable *Unreachable
	if errors.As(err, &unreachable) {
		return &Unreachable{cause}
	}
	return cause
}

// dial connects to the server, with TLS from the first byte if the mode is tls.
func (s mailServer) dial(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(s.host, s.port))
	if err != nil {
		return nil, err
	}
	conn = &boundedConn{Conn: conn, left: maxReplyBytes}
	if s.mode != "tls" {
		return conn, nil
	}
	secure := tls.Client(conn, s.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("starting TLS: %w", err)
	}
	return secure, nil
}

// startSession starts the session, up to and including the login.
func (a *mailAction) startSession(conn net.Conn) (*smtp.Client, error) {
	client, err := smtp.NewClient(conn, a.server.host)
	if err != nil {
		return nil, err
	}
	name := a.host
	if !messageIDPattern.MatchString(name) {
		name = "localhost"
	}
	if err := client.Hello(name); err != nil {
		return nil, err
	}
	if mode := a.server.mode; mode == "" || mode == "starttls" {
		offered, _ := client.Extension("STARTTLS")
		if !offered && mode == "starttls" {
			return nil, errors.New("the server does not offer STARTTLS")
		}
		if offered {
			if err := client.StartTLS(a.server.tls); err != nil {
				return nil, fmt.Errorf("starting TLS: %w", err)
			}
		}
	}
	return client, a.login(client)
}

// login logs in if there is a user and the server offers authentication. It sends no
// password unencrypted, except to localhost or if TLS was turned off.
func (a *mailAction) login(client *smtp.Client) error {
	offered, list := client.Extension("AUTH")
	if a.user == "" || !offered {
		return nil
	}
	_, secure := client.TLSConnectionState()
	order := []string{"CRAM-MD5", "PLAIN", "LOGIN"}
	if secure {
		order = []string{"PLAIN", "LOGIN", "CRAM-MD5"}
	}
	open := a.server.mode == "none"
	for _, name := range order {
		if !slices.Contains(strings.Fields(strings.ToUpper(list)), name) {
			continue
		}
		var auth smtp.Auth
		switch name {
		case "CRAM-MD5":
			auth = smtp.CRAMMD5Auth(a.user, a.pass)
		case "PLAIN":
			auth = smtp.PlainAuth("", a.user, a.pass, a.server.host, open)
		case "LOGIN":
			auth = smtp.LoginAuth(a.user, a.pass, a.server.host, open)
		}
		if err := client.Auth(auth); err != nil {
			return fmt.Errorf("logging in by %s: %w", name, err)
		}
		return nil
	}
	return fmt.Errorf("the server offers no supported authentication: %s", text.Line(list, 100))
}

// boundedConn limits the bytes read from a connection.
type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("the server sent more than %d bytes", maxReplyBytes)
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}
