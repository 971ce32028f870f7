package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
)

var (
	errHeader   = fmt.Errorf("the header is larger than %d KiB", maxHeader>>10)
	errNotHTTP  = errors.New("the answer is not HTTP")
	errNoAnswer = errors.New("the connection was closed before the answer was complete")
)

// handshakeError is an error of a TLS handshake.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "tls handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// explain words an error of http.Client. Those of the protocol contain what was read,
// which somebody who may only register probes may not be allowed to see.
func (p *httpProbe) explain(ctx context.Context, err error) error {
	if urlError := (*url.Error)(nil); errors.As(err, &urlError) {
		err = urlError.Err // the text of urlError contains the whole URL
	}
	if ctx.Err() != nil {
		return withCause(ctx, err)
	}
	text, isHTTP1 := strings.CutPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken: ")
	var network *net.OpError
	var handshake *handshakeError
	switch {
	case errors.As(err, &network), errors.As(err, &handshake):
		return err
	case strings.Contains(text, "response headers exceeded"), strings.Contains(text, "header list larger"):
		return errHeader
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(text, "server closed idle connection"):
		return errNoAnswer
	case p.restricted:
		return errNotHTTP
	case strings.HasPrefix(text, `malformed HTTP response "\x00\x00`):
		return fmt.Errorf("%w/1.1 but HTTP/2, which is spoken over TLS only", errNotHTTP)
	case strings.HasPrefix(text, "connection error: "):
		return fmt.Errorf("%w/2, or %w: %s", errNotHTTP, errHeader, text)
	case isHTTP1, misread(text):
		return fmt.Errorf("%w: %s", errNotHTTP, printable(text))
	}
	return err
}

// misread reports whether an error of net/http is that of an answer that it cannot
// read. It says so without its usual prefix if the answer came before the request was
// sent.
func misread(text string) bool {
	return slices.ContainsFunc([]string{"malformed ", "bad ", "invalid ", "unsupported ", "too many "}, func(begin string) bool {
		return strings.HasPrefix(text, begin)
	})
}

// answerBody is the body of a response, with errors worded by explain.
type answerBody struct {
	io.Reader
	explain func(error) error
}

func (b answerBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // the end of a body is io.EOF itself
		err = b.explain(err)
	}
	return n, err
}
