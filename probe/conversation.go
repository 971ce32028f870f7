package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/setting"
)

const (
	// maxReply bounds how much of a reply is matched, in bytes.
	maxReply = 64 << 10
	// maxLine bounds a line of a protocol that is read line by line, in bytes.
	maxLine = 4 << 10
	// quiet is how long a server must say nothing more until its reply counts as
	// complete; in a shorter probe a quarter of its time.
	quiet = time.Second
)

// stepConfig is an element of the key steps. What is expected comes first, then what
// is sent.
type stepConfig struct {
	// Expect is a regular expression that a line must match, ExpectNot one that no
	// line until then may match.
	Expect    string `toml:"expect"`
	ExpectNot string `toml:"expect_not"`
	// Send is sent then. \xHH stands for a byte.
	Send setting.Secret `toml:"send"`
}

func (c stepConfig) step() (step, error) {
	rule, err := newReplyRule(c.Expect, c.ExpectNot)
	if err != nil {
		return step{}, err
	}
	if !rule.isSet() && c.Send.IsZero() {
		return step{}, errors.New("give expect, expect_not or send")
	}
	return step{rule: rule, send: withBytes(c.Send.Reveal())}, nil
}

// withBytes replaces each \xHH by that byte.
func withBytes(text string) string {
	return regexp.MustCompile(`\\x[0-9A-Fa-f]{2}`).ReplaceAllStringFunc(text, func(s string) string {
		n, err := strconv.ParseUint(s[2:], 16, 8)
		if err != nil {
			return s
		}
		return string([]byte{byte(n)})
	})
}

// step is a part of a conversation: wait for a reply, then send.
type step struct {
	rule replyRule
	// whole means that the rule is for all of the reply and not for a line of it.
	whole bool
	send  string
}

// conversation holds what a target has said and was not matched yet.
type conversation struct {
	conn   net.Conn
	watch  *stopwatch
	hidden bool // what the target says must not be shown
	unread []byte
	end    error // the error that ended the reply
}

// take does one step.
func (t *conversation) take(ctx context.Context, s step) error {
	if err := t.await(ctx, s); err != nil {
		return err
	}
	if s.send == "" {
		return nil
	}
	return t.write(s.send)
}

// await reads until the reply is as expected, or cannot be any more.
func (t *conversation) await(ctx context.Context, s step) error {
	for s.rule.isSet() {
		done, err := t.look(ctx, s)
		switch {
		case err != nil:
			return err
		case done:
			t.watch.lap(phaseBody)
			return nil
		case t.end != nil && s.rule.expect == nil && ctx.Err() == nil && t.replyEnded():
			return nil
		case t.end != nil:
			return t.unexpected(s, t.end)
		case len(t.unread) >= maxReply && s.rule.expect == nil:
			return nil
		case len(t.unread) >= maxReply:
			return fmt.Errorf("the first %d KiB do not match expect %q", maxReply>>10, printable(s.rule.expect.String()))
		}
		t.read(ctx, s.rule.expect == nil)
	}
	return nil
}

// look judges what has come, line by line unless the rule is for all of it. What was
// matched, and the lines before it, are done with.
func (t *conversation) look(ctx context.Context, s step) (done bool, err error) {
	if s.whole {
		return t.judge(ctx, s.rule, t.unread)
	}
	for rest := t.unread; ; {
		line, after, complete := bytes.Cut(rest, []byte("\n"))
		done, err = t.judge(ctx, s.rule, bytes.TrimSuffix(line, []byte("\r")))
		if done || err != nil {
			t.unread = after
			return done, err
		}
		if !complete {
			break
		}
		rest = after
	}
	// In a protocol without lines a pattern may span what looks like several.
	if done, err = t.judge(ctx, replyRule{expect: s.rule.expect}, t.unread); done {
		t.unread = nil
	}
	return done, err
}

// judge reports whether a reply is as expected. What must not be said is an error.
func (t *conversation) judge(ctx context.Context, rule replyRule, said []byte) (bool, error) {
	if len(said) == 0 {
		return false, nil
	}
	if err := rule.refuse(ctx, said, t.hidden); err != nil {
		return false, err
	}
	if rule.expect == nil {
		return false, nil
	}
	return rule.expect.match(ctx, said)
}

// read waits for more. If nothing is expected, a pause ends the reply.
func (t *conversation) read(ctx context.Context, untilQuiet bool) {
	if untilQuiet {
		wait := quiet
		if deadline, ok := ctx.Deadline(); ok {
			wait = min(wait, time.Until(deadline)/4)
		}
		defer restoreDeadline(ctx, t.conn)
		if t.end = waitUntil(ctx, t.conn, wait); t.end != nil {
			return
		}
	}
	room := min(max(len(t.unread), 1<<10), maxReply-len(t.unread))
	buf := slices.Grow(t.unread, room)
	n, err := t.conn.Read(buf[len(buf) : len(buf)+room])
	if n > 0 && len(t.unread) == 0 {
		t.watch.lap(phaseFirstByte)
	}
	t.unread, t.end = buf[:len(buf)+n], err
}

// line returns the next line, without its end.
func (t *conversation) line(ctx context.Context) (string, error) {
	for {
		if line, after, complete := bytes.Cut(t.unread, []byte("\n")); complete {
			t.unread = after
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		switch {
		case t.end != nil:
			return "", t.unexpected(step{}, t.end)
		case len(t.unread) >= maxLine:
			return "", fmt.Errorf("a line is longer than %d KiB", maxLine>>10)
		}
		t.read(ctx, false)
	}
}

// write sends a text.
func (t *conversation) write(text string) error {
	if _, err := io.WriteString(t.conn, text); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return nil
}

// replyEnded reports whether the reply ended as one may, and not by an error.
func (t *conversation) replyEnded() bool {
	paused := errors.Is(t.end, os.ErrDeadlineExceeded)
	if paused {
		t.end = nil // the next step may read on
	}
	return paused || errors.Is(t.end, io.EOF)
}

// restoreDeadline sets the deadline of ctx again.
func restoreDeadline(ctx context.Context, conn net.Conn) {
	deadline, _ := ctx.Deadline()
	_ = conn.SetReadDeadline(deadline)
	if ctx.Err() != nil {
		_ = conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// unexpected returns the error for a reply that does not match. It shows the reply
// unless it must be hidden.
func (t *conversation) unexpected(s step, err error) error {
	want := "more"
	if s.rule.expect != nil {
		want = fmt.Sprintf("%q", printable(s.rule.expect.String()))
	}
	said := t.said()
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("received %s before the connection was closed, want %s", said, want)
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("reading: %w", err)
	}
	return &timeoutDetail{err, fmt.Sprintf("received %s, want %s", said, want)}
}

// said describes what has come.
func (t *conversation) said() string {
	line := firstLine(t.unread)
	if t.hidden || line == "" {
		return fmt.Sprintf("%d bytes", len(t.unread))
	}
	return fmt.Sprintf("%.80q", line)
}
