package action

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/wneessen/go-mail/smtp"

	"github.com/microhq/monitor-srv/text"
)

// startSession starts the session, up to and including the login.
func (a *mailAction) startSession(ctx context.Context, conn net.Conn) (*smtpSession, error) {
	s, err := startSMTP(conn, a.helloName(ctx, conn))
	if err != nil {
		return nil, err
	}
	if mode := a.server.mode; mode == "" || mode == "starttls" {
		offered := s.offered("STARTTLS")
		if !offered && mode == "starttls" {
			return nil, errors.New("the server does not offer STARTTLS")
		}
		if offered {
			if err := s.startTLS(ctx, a.server.tls); err != nil {
				return nil, err
			}
		}
	}
	if a.user == "" {
		return s, nil
	}
	return s, a.login(s)
}

// login logs in. It sends no password unencrypted, except to localhost or if TLS was
// turned off.
func (a *mailAction) login(s *smtpSession) error {
	known := []smtp.Auth{
		smtp.CRAMMD5Auth(a.user, a.pass),
		smtp.PlainAuth("", a.user, a.pass, a.server.host, a.server.mode == "none"),
		smtp.LoginAuth(a.user, a.pass, a.server.host, a.server.mode == "none"),
	}
	order := []string{"CRAM-MD5", "PLAIN", "LOGIN"}
	if s.secure() {
		known, order = append(known[1:], known[0]), append(order[1:], order[0])
	}
	offers := s.mechanisms()
	var unsupported error
	for i, name := range order {
		if !slices.Contains(offers, name) {
			continue
		}
		err := s.login(known[i], a.server.host)
		var reply *smtpReply
		switch {
		case err == nil:
			return nil
		case errors.Is(err, smtp.ErrUnencrypted):
			return fmt.Errorf("logging in by %s: %w: the server offers no STARTTLS; give tls = \"tls\" and its port, or tls = \"none\" to send the password in clear text", name, err)
		case errors.As(err, &reply) && (reply.code == 504 || reply.code == 534):
			unsupported = fmt.Errorf("logging in by %s: %w", name, err) // this mechanism only
		default:
			return fmt.Errorf("logging in by %s: %w", name, err)
		}
	}
	switch {
	case unsupported != nil:
		return unsupported
	case s.offered("AUTH"):
		return fmt.Errorf("the server offers no supported authentication: %s", text.Line(strings.Join(offers, " "), 100))
	}
	return errors.New("user is set, but the server offers no login: remove user and password, or give the port and tls with which it does")
}
