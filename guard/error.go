package guard

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"
)

// maxReason bounds a reason shown to people: it must fit a line of a log and of
// a health page, whatever a foreign server put into its answer. In bytes.
const maxReason = 300

// userinfo finds what stands between a URL's scheme and its last "@". It takes
// more than RFC 3986 allows there, because a password with an unescaped slash
// must not be shown either.
var userinfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s"']*@`)

// redact hides the user and password of every URL in text.
func Redact(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	return userinfo.ReplaceAllString(text, "${1}<secret>@")
}

// errorText is err as one line for people: without secrets, control characters
// and more than maxReason bytes.
func ErrorText(err error) string {
	text := Redact(err.Error())
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "..."
	}
	return text
}

// plainError says text and still is the error that it was made from.
type plainError struct {
	text string
	err  error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.err }

// withText returns an error that says text and still is err.
func WithText(text string, err error) error { return &plainError{text, err} }

// plain shortens what the network says: "connection refused" in place of method,
// URL, local and remote address. The address that matters is named by the caller.
// What was shortened once is left as it is.
func Shorten(err error) error {
	var done *plainError
	if errors.As(err, &done) {
		return err
	}
	var errno syscall.Errno
	var opErr *net.OpError
	if errors.As(err, &opErr) && errors.As(opErr, &errno) {
		return WithText(errno.Error(), err)
	}
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		return WithText(urlErr.Err.Error(), err)
	}
	return err
}

// safely calls fn and turns its panic into an error with the head of the stack.
func CatchPanic(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v: %.500s", p, debug.Stack())
		}
	}()
	return fn()
}
