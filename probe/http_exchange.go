package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"
)

const (
	// maxHeader bounds the header of a response, in bytes.
	maxHeader = 256 << 10
	// maxInterim bounds the interim responses (1xx) before the final one.
	maxInterim = 5
)

var (
	// errStale means that the target closed a reused connection without a response,
	// just before it got the request.
	errStale    = errors.New("the kept connection was closed")
	errHeader   = fmt.Errorf("the header is larger than %d KiB", maxHeader>>10)
	errNotHTTP  = errors.New("the answer is not HTTP/1.1")
	errNoAnswer = errors.New("the connection was closed before the answer was complete")
)

// exchange is one request and its response. It is also the body of the response: its
// Close makes the connection idle or closes it.
type exchange struct {
	transport *httpTransport
	conn      *httpConn
	// stop stops watching the context. It returns false if that has ended.
	stop func() bool
	in   headerReader
	br   *bufio.Reader

	body io.ReadCloser
	// whole is set once the body was read completely.
	whole  bool
	keep   bool
	closed bool
}

// exchange sends a request and reads the header of the response.
func (l *httpTransport) exchange(req *http.Request, c *httpConn) (*http.Response, error) {
	ctx := req.Context()
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline)
	x := &exchange{transport: l, conn: c, in: headerReader{r: c, left: maxHeader}}
	x.stop = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	x.br = l.buffers.readers.get(&x.in)
	resp, err := x.ask(req)
	if err != nil {
		stale := !c.used.IsZero() && x.in.count == 0 && closedByPeer(err)
		_ = x.Close()
		if stale {
			err = errStale
		}
		return nil, err
	}
	resp.TLS = c.state
	x.keep = !resp.Close && !req.Close && resp.StatusCode != http.StatusSwitchingProtocols
	x.body, resp.Body = resp.Body, x
	x.whole = x.body == http.NoBody
	return resp, nil
}

// ask writes the request and reads the header.
func (x *exchange) ask(req *http.Request) (*http.Response, error) {
	x.transport.stopwatch.restart()
	bw := x.transport.buffers.writers.get(x.conn)
	defer x.transport.buffers.writers.give(bw)
	if err := req.Write(bw); err != nil {
		return nil, err
	}
	if err := bw.Flush(); err != nil {
		return nil, err
	}
	if _, err := x.br.Peek(1); err != nil {
		return nil, explainEOF(err)
	}
	x.transport.stopwatch.lap(phaseFirstByte)
	for range maxInterim + 1 {
		resp, err := http.ReadResponse(x.br, req)
		switch {
		case x.in.err != nil && err != nil:
			return nil, explainEOF(x.in.err)
		case err != nil:
			// The text of this error contains what was read, which the reader of the
			// error may not be allowed to see.
			return nil, errNotHTTP
		case resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols:
			x.in.left = -1
			return resp, nil
		}
	}
	return nil, fmt.Errorf("more than %d interim answers", maxInterim)
}

// explainEOF replaces the end of a connection by a clearer error.
func explainEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errNoAnswer
	}
	return err
}

// closedByPeer reports whether the peer closed the connection.
func closedByPeer(err error) bool {
	return errors.Is(err, errNoAnswer) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// Read implements io.Reader.
func (x *exchange) Read(b []byte) (int, error) {
	if x.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := x.body.Read(b)
	switch {
	case errors.Is(err, io.EOF):
		x.whole = true
	case err != nil:
		err = explainEOF(err)
	}
	return n, err
}

// Close makes the connection idle if exactly the response was read.
func (x *exchange) Close() error {
	if x.closed {
		return nil
	}
	x.closed = true
	if x.stop() && x.keep && x.whole && x.br.Buffered() == 0 {
		x.transport.keep(x.conn)
	} else {
		_ = x.conn.Close()
	}
	x.transport.buffers.readers.give(x.br)
	return nil
}

// headerReader bounds what is read of a header.
type headerReader struct {
	r io.Reader
	// left is how many bytes may be read; -1 for no bound.
	left  int
	count int64
	// err is the last error of r or of the bound.
	err error
}

func (h *headerReader) Read(b []byte) (n int, err error) {
	switch {
	case h.left == 0:
		h.err = errHeader
		return 0, h.err
	case h.left > 0:
		b = b[:min(len(b), h.left)]
	}
	n, h.err = h.r.Read(b)
	h.count += int64(n)
	if h.left > 0 {
		h.left -= n
	}
	return n, h.err
}
