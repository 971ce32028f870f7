package transport

import "sync/atomic"

// Counters counts the requests of a Transport since New.
type Counters struct {
	// Requests counts the requests whose header was read, including refused ones.
	Requests uint64
	// InFlight is the number of requests being read or answered.
	InFlight int64
	// OpenConns is the number of open connections.
	OpenConns int64
	// RefusedConns counts connections closed at once because MaxConns were being served,
	// TakenConns those that were closed to make room for a new one.
	RefusedConns, TakenConns uint64
	// RefusedBodies counts requests whose body was too large, too slow, incomplete, or
	// one of too many large ones at once.
	RefusedBodies uint64
	// RefusedOther counts requests refused for another reason: method, content type,
	// stream, event, or missing endpoint.
	RefusedOther uint64
	// BrokenHeaders counts connections closed because a request header was malformed,
	// too long or too slow.
	BrokenHeaders uint64
	// Panics counts handler panics caught by the transport's Recover.
	Panics uint64
	// Unanswered counts calls whose handler ended without an answer: by a panic that
	// Recover did not catch, or by Goexit. The caller received status 500.
	Unanswered uint64
	// Expired counts calls whose handler exceeded its timeout. The caller received
	// status 408.
	Expired uint64
}

// counts holds the current values of Counters.
type counts struct {
	inFlight                    atomic.Int64
	requests                    atomic.Uint64
	refusedBodies, refusedOther atomic.Uint64
	panics, unanswered, expired atomic.Uint64
}

// Counters returns the sums over all listeners of t. The values are read one after
// the other, so they may differ by requests that arrive meanwhile.
func (t *Transport) Counters() Counters {
	c, conns := &t.counts, t.conns.State()
	return Counters{
		Requests:      c.requests.Load(),
		InFlight:      c.inFlight.Load(),
		OpenConns:     int64(conns.Held),
		RefusedConns:  conns.Refused,
		TakenConns:    conns.Taken,
		RefusedBodies: c.refusedBodies.Load(),
		RefusedOther:  c.refusedOther.Load(),
		BrokenHeaders: conns.Broken,
		Panics:        c.panics.Load(),
		Unanswered:    c.unanswered.Load(),
		Expired:       c.expired.Load(),
	}
}
