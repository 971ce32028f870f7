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
	"slices"
	"strings"
	"time"
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
	s, err := a.startSession(ctx, conn)
	if err != nil {
		return sessionError(err)
	}
	var later, refused []error
	for _, m := range messages {
		err := a.sendOne(s, m, delivered)
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
		s.quit()
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
func (a *mailAction) sendOne(s *smtpSession, m mailMessage, delivered map[string][]string) error {
	rest := slices.DeleteFunc(addresses(m.to), func(to string) bool { return slices.Contains(delivered[m.id], to) })
	if len(rest) == 0 {
		return nil
	}
	rest, refused, err := a.writable(s, rest)
	if err != nil {
		return err
	}
	if err := s.mail(a.from.Address, !isASCII(a.from.Address+strings.Join(rest, ""))); err != nil {
		return s.commandError(err)
	}
	var accepted []string
	var later error
	for _, to := range rest {
		err := s.commandError(s.recipient(to))
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
		_ = s.reset()
		return cmp.Or(later, refused)
	}
	if err := s.beginData(); err != nil {
		return s.commandError(err)
	}
	if err := contentError(s.sendContent(m.data)); err != nil {
		return err
	}
	delivered[m.id] = append(slices.Clone(delivered[m.id]), accepted...)
	if later == nil && refused != nil {
		a.log.Error("the mail server refused one of several recipients", "server", a.String(), "error", a.secrets.err(refused))
	}
	return later
}

// writable returns the recipients that the server can be given: those whose address
// is ASCII, or all if it offers SMTPUTF8. refused is about one of the others. It is an
// error if there is none, or if the sender's address is not ASCII: a retry succeeds
// once the server or the action was changed.
func (a *mailAction) writable(s *smtpSession, to []string) (writable []string, refused, err error) {
	const remedy = "the part before the @ is not ASCII, and the server does not offer SMTPUTF8: give an address in ASCII"
	if s.offered("SMTPUTF8") {
		return to, nil, nil
	}
	if !isASCII(a.from.Address) {
		return nil, nil, fmt.Errorf("sender %s: %s", a.from.Address, remedy)
	}
	for _, address := range to {
		if isASCII(address) {
			writable = append(writable, address)
		} else {
			refused = cmp.Or(refused, fmt.Errorf("recipient %s: %s", address, remedy))
		}
	}
	if len(writable) == 0 {
		return nil, nil, refused
	}
	return writable, refused, nil
}

// sessionError classifies an error before the first mail. No reply there is about a
// mail, so none is permanent: the server is tried again like one that is away. A
// refused login has the longer waits, because many attempts lock an account.
func sessionError(err error) error {
	var reply *smtpReply
	if !errors.As(err, &reply) {
		return connectionError(err)
	}
	err = fmt.Errorf("the server refused the session: %w", err)
	if strings.HasPrefix(reply.command, "AUTH") && reply.code >= 500 {
		return err
	}
	return &Unreachable{err}
}

// commandError classifies an error of MAIL, RCPT or DATA.
func (s *smtpSession) commandError(err error) error {
	var reply *smtpReply
	switch {
	case !errors.As(err, &reply):
		return connectionError(err)
	case reply.code == 421: // it closes the connection
		return &Unreachable{fmt.Errorf("the server ended the session: %w", err)}
	case reply.code < 500:
		return err
	case !s.accepted && reply.refusesSession():
		return fmt.Errorf("the server refused the session: %w", err)
	}
	return &Permanent{fmt.Errorf("the server refused the mail: %w", err)}
}

// contentError classifies an error of the content. If the connection fails after the
// whole content, a slow server may have accepted the mail, so the error is not
// Unreachable.
func contentError(err error) error {
	var reply *smtpReply
	if errors.As(err, &reply) && reply.code >= 500 {
		return &Permanent{fmt.Errorf("the server refused the mail: %w", err)}
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
