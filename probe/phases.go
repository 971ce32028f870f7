package probe

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"time"
)

// phase numbers the parts of a probe's time in their order.
type phase int

const (
	phaseResolve phase = iota
	phaseConnect
	phaseTLS
	phaseFirstByte
	phaseBody
	phaseCount
)

// String returns the name that a Phase carries.
func (p phase) String() string {
	return [phaseCount]string{"resolve", "connect", "tls", "first_byte", "body"}[p]
}

// stopwatch measures the phases of one probe. Where there are redirects, it adds
// up what each took. Its methods may be called by goroutines of the standard
// library that outlive the probe.
type stopwatch struct {
	mu    sync.Mutex // guards what follows
	mark  time.Time
	spent [phaseCount]time.Duration
}

func startStopwatch() *stopwatch { return &stopwatch{mark: time.Now()} }

// restart begins a phase now.
func (s *stopwatch) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mark = time.Now()
}

// lap ends the phase p, and begins the next one.
func (s *stopwatch) lap(p phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.spent[p] += now.Sub(s.mark)
	s.mark = now
}

// resolving returns ctx with a trace for name lookups.
func (s *stopwatch) resolving(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(httptrace.DNSDoneInfo) { s.lap(phaseResolve) },
	})
}

// tracing returns ctx with a trace for all that an http.Transport does.
func (s *stopwatch) tracing(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone:              func(httptrace.DNSDoneInfo) { s.lap(phaseResolve) },
		ConnectDone:          func(string, string, error) { s.lap(phaseConnect) },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { s.lap(phaseTLS) },
		GotFirstResponseByte: func() { s.lap(phaseFirstByte) },
	})
}

// phases returns the phases that there were.
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
