package transport

import "sync/atomic"

// TransportCounters tells what came in through a Transport since it was made.
type Counters struct {
	// Requests counts the requests whose header was read, refused ones too.
	Requests uint64
	// InFlight is how many of them are being read or answered now.
	InFlight int64
	// OpenConns is how many connections are open now.
	OpenConns int64
	// RefusedConns counts connections closed because of MaxConns.
	RefusedConns uint64
	// RefusedBodies counts requests with a body that was too long, too slow or
	// incomplete, or one of too many long ones at once.
	RefusedBodies uint64
	// RefusedOther counts requests that were no calls: another method or
	// content type, a stream, an event, no endpoint.
	RefusedOther uint64
	// BrokenHeaders counts connections closed because of a request header that
	// was malformed, too long or too slow.
	BrokenHeaders uint64
	// Panics counts handler panics caught by the transport's Recover.
	Panics uint64
	// Unanswered counts calls that ended without an answer and were answered
	// 500: a panic that was not caught by Recover, or a handler's Goexit.
	Unanswered uint64
	// Expired counts calls answered 408 because their handler overran its time.
	Expired uint64
}

// transportCounts holds the live figures behind TransportCounters.
type transportCounts struct {
	inFlight, openConns                       atomic.Int64
	requests                                  atomic.Uint64
	refusedConns, refusedBodies, refusedOther atomic.Uint64
	brokenHeaders                             atomic.Uint64
	panics, unanswered, expired               atomic.Uint64
}

// Counters returns the figures of all listeners of t together. They are read
// one by one, so they need not fit together to the last request.
func (t *Transport) Counters() Counters {
	c := &t.count
	return Counters{
		Requests:      c.requests.Load(),
		InFlight:      c.inFlight.Load(),
		OpenConns:     c.openConns.Load(),
		RefusedConns:  c.refusedConns.Load(),
		RefusedBodies: c.refusedBodies.Load(),
		RefusedOther:  c.refusedOther.Load(),
		BrokenHeaders: c.brokenHeaders.Load(),
		Panics:        c.panics.Load(),
		Unanswered:    c.unanswered.Load(),
		Expired:       c.expired.Load(),
	}
}
