package transport

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go-micro.dev/v4/transport"
)

// socket is a connection of go-micro's server with one request and one answer.
//
// Send stores the answer. end writes it in the goroutine of the request when the
// server has handled the call, or expire writes it if that takes too long. The two
// never run at the same time.
type socket struct {
	handler *handler
	w       http.ResponseWriter
	r       *http.Request

	form     form
	envelope *envelope // nil: the body is the request itself
	endpoint string
	msg      transport.Message
	taken    bool // used only by the goroutine that serves the connection

	answer   atomic.Pointer[transport.Message]
	written  bool // used only by expire and then end
	timer    *time.Timer
	expiring sync.WaitGroup // one until expire has returned
}

var _ transport.Socket = (*socket)(nil)

var errAnswered = errors.New("the call is already answered")

// Recv returns the request the first time, and io.EOF afterwards.
func (s *socket) Recv(m *transport.Message) error {
	if s.taken {
		return io.EOF
	}
	s.taken = true
	*m = s.msg
	return nil
}

// Send stores the answer. A second answer is an error, which makes go-micro's server
// end the handler.
func (s *socket) Send(m *transport.Message) error {
	if !s.answer.CompareAndSwap(nil, m) {
		return errAnswered
	}
	return nil
}

// Close does nothing: the connection belongs to net/http.
func (s *socket) Close() error { return nil }

// Local returns the address of the port.
func (s *socket) Local() string { return s.handler.local }

// Remote returns the address of the caller.
func (s *socket) Remote() string { return s.r.RemoteAddr }

// expire answers in place of a handler that exceeded its timeout. The handler occupies
// the connection until it returns, which bounds the number of such handlers.
func (s *socket) expire() {
	defer s.expiring.Done()
	s.written = true
	s.w.Header()["Connection"] = []string{"close"}
	if s.answer.CompareAndSwap(nil, new(transport.Message)) {
		s.handler.counts.expired.Add(1)
		s.handler.log.warn("handler exceeded its timeout", s.attrs)
		s.fail(http.StatusRequestTimeout, "the service did not answer within the timeout")
	} else {
		s.write(s.answer.Load())
	}
	_ = http.NewResponseController(s.w).Flush()
}

// end makes sure that the request is answered when the server has handled the call. It
// must be deferred, because it recovers panics.
func (s *socket) end() {
	cause := recover()
	if !s.timer.Stop() {
		s.expiring.Wait()
	}
	if s.written {
		return
	}
	if m := s.answer.Load(); m != nil {
		s.write(m)
		return
	}
	s.handler.counts.unanswered.Add(1)
	s.handler.log.warn("handler did not answer", func() []any {
		if cause == nil {
			return s.attrs()
		}
		return append(s.attrs(), "panic", cause)
	})
	s.fail(http.StatusInternalServerError, "the service did not answer")
}

func (s *socket) attrs() []any {
	return []any{"endpoint", s.endpoint, "remote", s.Remote()}
}
