package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// upgrade asks a server, in its own protocol, to begin TLS.
type upgrade func(ctx context.Context, t *conversation) error

// maxLines bounds the lines of one reply.
const maxLines = 100

// upgrades returns the upgrades by the value of the key starttls.
func upgrades() map[string]upgrade {
	return map[string]upgrade{
		"ftp": upgradeFTP, "imap": upgradeIMAP, "pop3": upgradePOP3, "postgres": upgradePostgres, "smtp": upgradeSMTP,
	}
}

// upgradeSMTP follows RFC 3207.
func upgradeSMTP(ctx context.Context, t *conversation) error {
	if _, err := t.reply(ctx, "220"); err != nil {
		return err
	}
	offered, err := t.ask(ctx, "EHLO localhost\r\n", "250")
	if err != nil {
		return err
	}
	offers := func(line string) bool {
		return len(line) > 4 && strings.EqualFold(strings.TrimSpace(line[4:]), "STARTTLS")
	}
	if !slices.ContainsFunc(offered, offers) {
		return errors.New("the server does not offer it")
	}
	_, err = t.ask(ctx, "STARTTLS\r\n", "220")
	return err
}

// upgradeFTP follows RFC 4217.
func upgradeFTP(ctx context.Context, t *conversation) error {
	if _, err := t.reply(ctx, "220"); err != nil {
		return err
	}
	_, err := t.ask(ctx, "AUTH TLS\r\n", "234")
	return err
}

// upgradeIMAP follows RFC 3501, 6.2.1.
func upgradeIMAP(ctx context.Context, t *conversation) error {
	if err := t.expectLine(ctx, "* OK"); err != nil {
		return err
	}
	if err := t.write("a STARTTLS\r\n"); err != nil {
		return err
	}
	for range maxLines {
		line, err := t.line(ctx)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, "* ") {
			return t.begins(line, "a OK")
		}
	}
	return fmt.Errorf("the reply has more than %d lines", maxLines)
}

// upgradePOP3 follows RFC 2595.
func upgradePOP3(ctx context.Context, t *conversation) error {
	if err := t.expectLine(ctx, "+OK"); err != nil {
		return err
	}
	if err := t.write("STLS\r\n"); err != nil {
		return err
	}
	return t.expectLine(ctx, "+OK")
}

// upgradePostgres sends PostgreSQL's SSLRequest, which is answered by one byte.
func upgradePostgres(ctx context.Context, t *conversation) error {
	if err := t.write("\x00\x00\x00\x08\x04\xd2\x16\x2f"); err != nil {
		return err
	}
	for len(t.unread) == 0 && t.end == nil {
		t.read(ctx, false)
	}
	switch {
	case len(t.unread) == 0 && errors.Is(t.end, io.EOF):
		return errors.New("the connection was closed before an answer")
	case len(t.unread) == 0:
		return fmt.Errorf("reading: %w", t.end)
	case t.unread[0] == 'S':
		t.unread = t.unread[1:]
		return nil
	case t.unread[0] == 'N':
		return errors.New("the server does not offer it")
	}
	return fmt.Errorf("the answer is not one of PostgreSQL: %s", t.said())
}

// ask sends a command and reads the reply.
func (t *conversation) ask(ctx context.Context, command, code string) ([]string, error) {
	if err := t.write(command); err != nil {
		return nil, err
	}
	return t.reply(ctx, code)
}

// reply reads the lines of a reply as SMTP and FTP have it, which must be of a code.
// "250-" says that another line follows.
func (t *conversation) reply(ctx context.Context, code string) (lines []string, err error) {
	for range maxLines {
		line, err := t.line(ctx)
		if err != nil {
			return nil, err
		}
		inside := len(lines) > 0 && len(line) > 0 && line[0] == ' ' // as some servers of FTP have it
		if err := t.begins(line, code); err != nil && !inside {
			return nil, err
		}
		lines = append(lines, line)
		if !inside && !strings.HasPrefix(line, code+"-") {
			return lines, nil
		}
	}
	return nil, fmt.Errorf("the reply has more than %d lines", maxLines)
}

// expectLine reads a line, which must begin so.
func (t *conversation) expectLine(ctx context.Context, begin string) error {
	line, err := t.line(ctx)
	if err != nil {
		return err
	}
	return t.begins(line, begin)
}

// begins returns an error for a line that does not begin as is wanted.
func (t *conversation) begins(line, want string) error {
	switch {
	case len(line) >= len(want) && strings.EqualFold(line[:len(want)], want):
		return nil
	case t.hidden:
		return fmt.Errorf("the server did not answer %q", want)
	}
	return fmt.Errorf("the server answered %q, want %q", printable(line), want)
}
