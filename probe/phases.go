package probe

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"time"
)

// phase is a phase of a probe, in order.
type phase int

const (
	phaseResolve phase = iota
	phaseConnect
	phaseTLS
	phaseFirstByte
	phaseBody
	phaseCount
)

// String returns the name in Phase.
func (p phase) String() string {
	return [phaseCount]string{"resolve", "connect", "tls", "first_byte", "body"}[p]
}

// stopwatch measures the phases of one probe. With redirects, it adds up the phases
// of all requests. Its methods may be called by goroutines of the standard library
// that outlive the probe.
type stopwatch struct {
	mu    sync.Mutex // guards all following fields
	mark  time.Time
	spent [phaseCount]time.Duration
}

func startStopwatch() *stopwatch { return &stopwatch{mark: time.Now()} }

// restart begins a phase.
func (s *stopwatch) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mark = time.Now()
}

// lap ends phase p and begins the next one.
func (s *stopwatch) lap(p phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.spent[p] += now.Sub(s.mark)
	s.mark = now
}

// resolving returns ctx with a trace of name lookups.
func (s *stopwatch) resolving(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(httptrace.DNSDoneInfo) { s.lap(phaseResolve) },
	})
}

// tracing returns ctx with a trace of the phases that only an http.Transport sees; its
// TLS is that to a target behind a proxy.
func (s *stopwatch) tracing(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone:     func(tls.ConnectionState, error) { s.lap(phaseTLS) },
		GotFirstResponseByte: func() { s.lap(phaseFirstByte) },
	})
}

// phases returns the measured phases.
func (s *stopwatch) phases() []Phase {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Phase, 0, phaseCount)
	for p, d := range s.spent {
		if d > 0 {
			list = append(list, Phase{phase(p).String(), d})
		}
	}
	return list
}
