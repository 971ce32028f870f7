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
	// maxReplies bounds what a server may say in a conversation, in bytes.
	maxReplyBytes = 1 << 20
	// quitTime is how long a server may take for its farewell.
	quitTimeout = time.Second
)

// deliver sends letters in one conversation. A recipient that needs no mail of
// an id any more is remembered until an attempt succeeds as a whole, so that
// none gets a second copy because another was not reached.
func (a *mailAction) sendAll(ctx context.Context, letters []mailMessage) error {
	a.mu.Lock()
	before := a.delivered
	a.mu.Unlock()
	done := map[string][]string{}
	err := a.converse(ctx, letters, before, done)
	if ctx.Err() != nil && err != nil {
		err = withCause(err, context.Cause(ctx))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delivered = nil
	var permanent *Permanent
	if err != nil && !errors.As(err, &permanent) {
		a.delivered = done
	}
	return err
}

// converse holds the conversation. It adds to done who needs no mail any more.
func (a *mailAction) converse(ctx context.Context, letters []mailMessage, before, done map[string][]string) error {
	for _, l := range letters {
		done[l.id] = before[l.id]
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
	for _, l := range letters {
		err := a.sendOne(client, l, done)
		var permanent *Permanent
		switch {
		case errors.As(err, &permanent):
			refused = append(refused, err)
			done[l.id] = addresses(l.to)
		case err != nil:
			later = append(later, err)
		}
	}
	if len(later) == 0 {
		_ = conn.SetDeadline(time.Now().Add(quitTimeout))
		_ = client.Quit()
	}
	switch {
	case len(later) > 0 && slices.ContainsFunc(letters, func(l mailMessage) bool { return len(done[l.id]) > 0 }):
		return errors.New(later[0].Error()) // some have theirs: this is a retry of the rest
	case len(later) > 0:
		return later[0]
	case len(refused) == len(letters):
		return refused[0]
	case len(refused) > 0:
		a.log.Error("a mail server refuses a mail and takes others", "server", a.String(), "error", a.secrets.err(refused[0]))
	}
	return nil
}

func addresses(list []*mail.Address) (texts []string) {
	for _, address := range list {
		texts = append(texts, address.Address)
	}
	return texts
}

// post sends one letter to those of its recipients that still need it. If some
// are refused, the others get it nevertheless.
func (a *mailAction) sendOne(client *smtp.Client, l mailMessage, done map[string][]string) error {
	rest := slices.DeleteFunc(addresses(l.to), func(to string) bool { return slices.Contains(done[l.id], to) })
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
	if err := sendData(client, l.data); err != nil {
		return err
	}
	done[l.id] = append(slices.Clone(done[l.id]), accepted...)
	if later == nil && refused != nil {
		a.log.Error("a mail server refuses a recipient and takes others", "server", a.String(), "error", a.secrets.err(refused))
	}
	return later
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > '~' }) < 0
}

// data sends the text of a mail. Silence after the whole text is no sign that the
// server did not take it: a slow one may have, so it is not asked again as soon
// as one that is not there.
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

// reply judges an error of a step that hands over no mail: by the answer of the
// server, or its silence.
func stepError(err error) error { return connectionError(replyError(err)) }

// answer makes an error of a server permanent if the server says so.
func replyError(err error) error {
	var told *textproto.Error
	if !errors.As(err, &told) {
		return err
	}
	said := strings.Replace(err.Error(), told.Error(), fmt.Sprint(told.Code, " ", told.Msg), 1)
	err = errors.New(text.Line(said, 300))
	if told.Code >= 500 {
		return &Permanent{err}
	}
	return err
}

// silence makes an error unreachable if it is one of the connection.
func connectionError(err error) error {
	var broken net.Error
	if errors.As(err, &broken) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Unreachable{err}
	}
	return err
}

// sameKind returns cause, unreachable if err is.
func withCause(err, cause error) error {
	var unreachable *Unreachable
	if errors.As(err, &unreachable) {
		return &Unreachable{cause}
	}
	return cause
}

// dial connects to the server, by TLS from the first byte if so wanted.
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
		return nil, fmt.Errorf("beginning TLS: %w", err)
	}
	return secure, nil
}

// greet begins the conversation up to the login.
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
			return nil, errors.New("the server offers no STARTTLS")
		}
		if offered {
			if err := client.StartTLS(a.server.tls); err != nil {
				return nil, fmt.Errorf("beginning TLS: %w", err)
			}
		}
	}
	return client, a.login(client)
}

// login logs in if there is a user and the server knows how. It sends no
// password in the clear but to this machine, or if TLS was turned off.
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
	return fmt.Errorf("the server offers no way to log in that we know: %s", text.Line(list, 100))
}

// boundedConn is a connection on which the other side may say only so much.
type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("the server said more than %d bytes", maxReplyBytes)
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}
