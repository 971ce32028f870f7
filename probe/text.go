package probe

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxDetail bounds a Result's Detail, in bytes.
const maxDetail = 256

// printable returns the start of a text from outside as one line of at most
// maxDetail bytes that any log, page or terminal can show.
func printable(text string) string { return oneLine(text, maxDetail) }

// oneLine does printable's work with a limit in bytes.
func oneLine(text string, limit int) string {
	// Looking at a little more than fits is enough, whatever is dropped of it.
	text = strings.ToValidUTF8(text[:min(len(text), 8*limit)], "")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}

// firstLine returns the first line of a text that is not empty, made printable.
func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return printable(line)
}

// showURL returns a URL without what may be secret in it: user, password, query
// and fragment.
func showURL(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// redacted is an error whose text has lost its secrets.
type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string { return e.text }

// Is lets a caller ask for the kind of error without its text.
func (e *redacted) Is(target error) bool { return errors.Is(e.err, target) }

// minSecret is the length below which a secret is not looked for in texts: it
// would be found in innocent words.
const minSecret = 4

// hide returns err with every secret in its text replaced, and its text made
// printable where it held one.
func hide(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	text := withoutSecrets(err.Error(), secrets...)
	if text == err.Error() {
		return err
	}
	return &redacted{text, err}
}

// withoutSecrets returns a text with every secret in it replaced.
func withoutSecrets(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s)} {
			text = strings.ReplaceAll(text, form, "<secret>")
		}
	}
	return text
}

// incomplete is an error of time that tells what there was until then.
type incomplete struct {
	err error
	had string
}

func (e *incomplete) Error() string { return e.err.Error() + ": " + e.had }
func (e *incomplete) Unwrap() error { return e.err }

// clockSkew bounds how much earlier a connection notices a deadline than the
// context that it was taken from.
const clockSkew = 20 * time.Millisecond

// ended returns why ctx is done in place of the error that followed from it, or
// err if that has a reason of its own.
func ended(ctx context.Context, err error) error {
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
	var part *incomplete
	if errors.As(err, &part) {
		return &incomplete{cause, part.had}
	}
	return cause
}
