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

	"github.com/microhq/monitor-srv/text"
)

// maxErrorText bounds the text of an error in bytes. It has to fit into a log line
// and a health page even if it quotes the answer of another server.
const maxErrorText = 300

// userinfo matches a URL from its scheme to its last "@". It matches more than RFC
// 3986 allows there, because a password may contain an unescaped slash.
var userinfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s"']*@`)

// Redact replaces the user and password of every URL in text.
func Redact(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	return userinfo.ReplaceAllString(text, "${1}<secret>@")
}

// ErrorText returns the text of err as one line without secrets and control
// characters. It cuts long texts.
func ErrorText(err error) string {
	return text.Line(Redact(err.Error()), maxErrorText)
}

// rewordedError is an error with another text.
type rewordedError struct {
	text string
	err  error
}

func (e *rewordedError) Error() string { return e.text }
func (e *rewordedError) Unwrap() error { return e.err }

// Reword returns an error that reads text and wraps err.
func Reword(text string, err error) error { return &rewordedError{text, err} }

// Shorten reduces a network error to its cause: "connection refused" in place of
// method, URL, local and remote address. Callers name the address that matters. It
// does not change the text of a reworded error.
func Shorten(err error) error {
	var reworded *rewordedError
	if errors.As(err, &reworded) {
		return err
	}
	var errno syscall.Errno
	var opErr *net.OpError
	if errors.As(err, &opErr) && errors.As(opErr, &errno) {
		return Reword(errno.Error(), err)
	}
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		return Reword(urlErr.Err.Error(), err)
	}
	return err
}

// CatchPanic calls f. It returns a panic of f as an error with the start of the
// stack.
func CatchPanic(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v: %.500s", p, debug.Stack())
		}
	}()
	return f()
}
