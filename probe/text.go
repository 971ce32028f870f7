package probe

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/setting"
	"github.com/microhq/monitor-srv/text"
)

// maxDetail bounds Result.Detail, in bytes.
const maxDetail = 256

// printable returns the start of untrusted text as one line of at most maxDetail
// bytes.
func printable(s string) string { return text.Line(s, maxDetail) }

// firstLine returns the first line of a text that is not empty, as printable text.
func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return printable(line)
}

// showURL returns a URL without user, password, query and fragment, which may be
// secret.
func showURL(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// redactedError replaces the text of an error that contains a secret.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }

// Is reports the kind of the error. The error is not unwrapped, because its text is
// secret.
func (e *redactedError) Is(target error) bool { return errors.Is(e.err, target) }

// minSecret is the length of the shortest secret that is replaced. Shorter ones would
// occur in ordinary words.
const minSecret = 6

// redact returns err with every secret in its text replaced.
func redact(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	text := redactText(err.Error(), secrets...)
	if text == err.Error() {
		return err
	}
	return &redactedError{text, err}
}

// secretLines returns the forms in which a secret that is sent may be echoed: each line
// alone, with bytes in place of their escapes, and as printable text.
func secretLines(s setting.Secret) []string {
	secrets := []string{s.Reveal()}
	for _, sent := range []string{s.Reveal(), withBytes(s.Reveal())} {
		for line := range strings.FieldsFuncSeq(sent, func(r rune) bool { return r == '\r' || r == '\n' }) {
			secrets = append(secrets, line, text.Line(line, len(line)))
		}
	}
	return secrets
}

// redactText returns a text with every secret replaced.
func redactText(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		quoted := strconv.Quote(s)
		for _, form := range []string{s, quoted[1 : len(quoted)-1], url.QueryEscape(s), url.PathEscape(s)} {
			text = strings.ReplaceAll(text, form, "<secret>")
		}
	}
	return text
}

// timeoutDetail adds to a timeout what was received until then.
type timeoutDetail struct {
	err error
	had string
}

func (e *timeoutDetail) Error() string { return e.err.Error() + ": " + e.had }
func (e *timeoutDetail) Unwrap() error { return e.err }

// within says in which part of a probe an error occurred, also if it is that of its
// deadline.
func within(part string, err error) error {
	if late := (*timeoutDetail)(nil); errors.As(err, &late) {
		return &timeoutDetail{late.err, part + ": " + late.had}
	}
	return fmt.Errorf("%s: %w", part, err)
}

// clockSkew bounds how much earlier than its context a connection may notice the
// deadline.
const clockSkew = 20 * time.Millisecond

// withCause returns the cause of the end of ctx instead of an error that followed
// from it. It returns other errors unchanged.
func withCause(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok && errors.Is(err, os.ErrDeadlineExceeded) && time.Until(deadline) < clockSkew {
		<-ctx.Done()
	}
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	var part *timeoutDetail
	if errors.As(err, &part) {
		return &timeoutDetail{cause, part.had}
	}
	return cause
}
