package health

import (
	"cmp"
	"sync"

	"google.golang.org/protobuf/proto"
)

// rank orders events that wait: the lowest leaves first.
type rank uint8

const (
	rankStopped rank = iota // the last word of a node
	rankUrgent              // other statuses, and checks that are not OK
	rankFine                // checks that are OK
	rankStats
)

// eventKey tells which events replace one another.
type eventKey struct{ topic, check string }

type event struct {
	key  eventKey
	rank rank
	msg  proto.Message

	seq   uint64 // order of arrival, kept when a newer event takes the place
	tries int    // how often it was given to the Publisher
}

// maxCalls is how many calls of the Publisher may be under way. While the broker
// answers there is one. A call that hangs keeps its place until it returns, so
// that a broker that hangs for ever costs so many goroutines and no more; more
// than one, because a single request lost by a registry that is well again has
// been seen to hang for 41 minutes. One more place is kept for STOPPED.
const maxCalls = 4

// outbox holds the newest event of each key until the Publisher took it. It
// never blocks and does no I/O.
type outbox struct {
	limit  int
	counts *counters
	// wake has an item when the dispatcher should look again.
	wake chan struct{}
	// flushed is closed once the outbox is sealed and nothing waits any more.
	flushed chan struct{}

	mu      sync.Mutex // guards all that follows
	waiting map[eventKey]*event
	seq     uint64
	// pending events are in the hands of a call that was not left.
	pending map[*event]struct{}
	calls   int // calls that have not returned, left ones included
	fails   int // failed calls since the last good one
	sealed  bool
	done    bool // flushed is closed
}

func newOutbox(limit int, counts *counters) *outbox {
	return &outbox{
		limit:   limit,
		counts:  counts,
		wake:    make(chan struct{}, 1),
		flushed: make(chan struct{}),
		waiting: make(map[eventKey]*event),
		pending: make(map[*event]struct{}),
	}
}

// put adds e, in place of an older event of its key, whose turn it takes.
func (o *outbox) put(e *event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed {
		o.counts.dropped.Add(1)
		return
	}
	o.seq++
	e.seq = o.seq
	if old, replaces := o.waiting[e.key]; replaces {
		o.counts.replaced.Add(1)
		e.seq = old.seq
	}
	o.insertLocked(e)
}

// insertLocked adds e. In a full outbox the event that matters least has to go:
// the oldest of the highest rank, or e itself if none matters less.
func (o *outbox) insertLocked(e *event) {
	_, replaces := o.waiting[e.key]
	if !replaces && len(o.waiting) >= o.limit {
		o.counts.dropped.Add(1)
		last := o.lastLocked()
		if last.rank < e.rank {
			return
		}
		delete(o.waiting, last.key)
	}
	o.waiting[e.key] = e
	o.wakeLocked()
}

// seal refuses what is put from now on, and lets flushed be closed.
func (o *outbox) seal() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sealed = true
	o.settleLocked()
	o.wakeLocked()
}

// take removes the event that shall leave next, or returns nil if there is none
// or too many calls hang. The caller owes a returned for it.
func (o *outbox) take() *event {
	o.mu.Lock()
	defer o.mu.Unlock()
	places := maxCalls
	if o.sealed {
		places++
	}
	if len(o.waiting) == 0 || o.calls >= places {
		return nil
	}
	var first *event
	for _, e := range o.waiting {
		if first == nil || e.before(first) {
			first = e
		}
	}
	delete(o.waiting, first.key)
	first.tries++
	o.calls++
	o.pending[first] = struct{}{}
	return first
}

// before orders what leaves. What failed more often goes behind, so that an
// event the broker always refuses holds up no other one. STOPPED is tried three
// times before that.
func (e *event) before(other *event) bool {
	if e.first() != other.first() {
		return e.first()
	}
	return cmp.Or(
		cmp.Compare(e.tries, other.tries),
		cmp.Compare(e.rank, other.rank),
		cmp.Compare(e.seq, other.seq),
	) < 0
}

func (e *event) first() bool { return e.rank == rankStopped && e.tries < 3 }

func (o *outbox) lastLocked() *event {
	var last *event
	for _, e := range o.waiting {
		if last == nil || e.rank > last.rank || e.rank == last.rank && e.seq < last.seq {
			last = e
		}
	}
	return last
}

// call is one call of the Publisher.
type call struct {
	event *event
	// guarded by the outbox
	back, left bool
}

// returned settles a call that came back and tells if anybody still waited.
func (o *outbox) returned(c *call, err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	c.back = true
	o.calls--
	if err == nil {
		o.fails = 0
	}
	if c.left {
		// It arrived after all, so it need not be sent again.
		if err == nil && o.waiting[c.event.key] == c.event {
			delete(o.waiting, c.event.key)
		}
	} else {
		delete(o.pending, c.event)
		if err != nil {
			o.fails++
			o.againLocked(c.event)
		}
	}
	o.settleLocked()
	o.wakeLocked()
	return !c.left
}

// leave gives up waiting for a call, which failed thereby unless there is other
// work in haste, and tells if it had not returned.
func (o *outbox) leave(c *call, failed bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c.back {
		return false
	}
	c.left = true
	delete(o.pending, c.event)
	if failed {
		o.fails++
	}
	o.againLocked(c.event)
	o.settleLocked()
	return true
}

// againLocked puts an event back that was not published, unless a newer one came.
func (o *outbox) againLocked(e *event) {
	if _, newer := o.waiting[e.key]; newer {
		o.counts.replaced.Add(1)
		return
	}
	o.insertLocked(e)
}

func (o *outbox) settleLocked() {
	if o.sealed && !o.done && len(o.waiting) == 0 && len(o.pending) == 0 {
		o.done = true
		close(o.flushed)
	}
}

func (o *outbox) wakeLocked() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// failures counts failed calls since the last good one.
func (o *outbox) failures() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fails
}

// unsent counts the events that have not left, and tells if STOPPED is one of
// them.
func (o *outbox) unsent() (events int, stopped bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.waiting {
		stopped = stopped || e.rank == rankStopped
	}
	for e := range o.pending {
		stopped = stopped || e.rank == rankStopped
	}
	return len(o.waiting) + len(o.pending), stopped
}
