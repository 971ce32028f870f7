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

// rpcSocket is what go-micro's server takes for a connection: it holds one
// request and takes one answer.
//
// The answer is kept by Send and written by finish, in the request's own
// goroutine once the server is done with the call, or by expire if that takes
// too long. These two never run at the same time.
type rpcSocket struct {
	door  *door
	w     http.ResponseWriter
	r     *http.Request
	msg   transport.Message
	taken bool // used only by the goroutine that serves the connection

	answer   atomic.Pointer[transport.Message]
	written  bool // used only by expire and then finish
	timer    *time.Timer
	expiring sync.WaitGroup // holds one until expire has returned
}

var _ transport.Socket = (*rpcSocket)(nil)

var errAnswered = errors.New("the call is answered already")

// Recv gives the request the first time, and io.EOF from then on.
func (s *rpcSocket) Recv(m *transport.Message) error {
	if s.taken {
		return io.EOF
	}
	s.taken = true
	*m = s.msg
	return nil
}

// Send takes the answer. A second one is an error, which makes go-micro's
// server end whatever still produces answers.
func (s *rpcSocket) Send(m *transport.Message) error {
	if !s.answer.CompareAndSwap(nil, m) {
		return errAnswered
	}
	return nil
}

// Close does nothing: the connection belongs to net/http.
func (s *rpcSocket) Close() error { return nil }

// Local returns the address that the port is bound to.
func (s *rpcSocket) Local() string { return s.door.local }

// Remote returns the address of the caller.
func (s *rpcSocket) Remote() string { return s.r.RemoteAddr }

// expire answers in place of a handler that overran its time. The handler still
// has the connection until it returns: that is what bounds how many there are.
func (s *rpcSocket) expire() {
	defer s.expiring.Done()
	s.written = true
	s.w.Header()["Connection"] = []string{"close"}
	if s.answer.CompareAndSwap(nil, new(transport.Message)) {
		s.door.count.expired.Add(1)
		s.door.rare.warn("a handler overran its time", s.attrs)
		s.door.fault(s.w, s.r, http.StatusRequestTimeout, "the service took longer than the caller allows")
	} else {
		s.door.answer(s.w, s.r, s.answer.Load())
	}
	_ = http.NewResponseController(s.w).Flush()
}

// finish sees to it that there is an answer when the server is done with the
// call. It must be deferred, because it recovers what the server let through.
func (s *rpcSocket) finish() {
	cause := recover()
	if !s.timer.Stop() {
		s.expiring.Wait()
	}
	if s.written {
		return
	}
	if m := s.answer.Load(); m != nil {
		s.door.answer(s.w, s.r, m)
		return
	}
	s.door.count.unanswered.Add(1)
	s.door.rare.warn("a handler gave no answer", func() []any {
		if cause == nil {
			return s.attrs()
		}
		return append(s.attrs(), "panic", cause)
	})
	s.door.fault(s.w, s.r, http.StatusInternalServerError, "the service gave no answer")
}

func (s *rpcSocket) attrs() []any {
	return []any{"endpoint", endpoint(s.r.Header), "remote", s.Remote()}
}
