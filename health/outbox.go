package health

import (
	"cmp"
	"sync"

	"google.golang.org/protobuf/proto"
)

// rank is the priority of a queued event: the lowest is sent first.
type rank uint8

const (
	rankStopped rank = iota // STOPPED
	rankUrgent              // other statuses, and checks that are not OK
	rankOK                  // checks that are OK
	rankStats
)

// eventKey identifies what an event is about. A newer event replaces an older one
// with the same key.
type eventKey struct{ topic, check string }

type event struct {
	key  eventKey
	rank rank
	msg  proto.Message

	seq   uint64 // order of arrival; an event that replaces another gets its seq
	tries int    // calls of the Publisher with it
}

// maxCalls is the number of calls of the Publisher that may be under way. While the
// broker answers there is one. A call that hangs counts until it returns, so a broker
// that hangs costs at most so many goroutines. There may be more than one, because a
// single request to a registry that had recovered was seen to hang for 41 minutes.
// One more is reserved for STOPPED.
const maxCalls = 4

// outbox is the queue: it holds the newest event of each key until the Publisher has
// accepted it. It never blocks and does no I/O.
type outbox struct {
	limit  int
	counts *counters
	// wake has an item when the dispatcher should call take again.
	wake waker
	// flushed is closed when the outbox is sealed and empty.
	flushed chan struct{}

	mu      sync.Mutex // guards all that follows
	waiting map[eventKey]*event
	seq     uint64
	// pending events are in calls under way that were not abandoned.
	pending map[*event]struct{}
	calls   int // calls that have not returned, including abandoned ones
	fails   int // failed calls since the last one that succeeded
	sealed  bool
	done    bool // flushed is closed
}

func newOutbox(limit int, counts *counters) *outbox {
	return &outbox{
		limit: limit, counts: counts,
		wake: make(waker, 1), flushed: make(chan struct{}),
		waiting: make(map[eventKey]*event),
		pending: make(map[*event]struct{}),
	}
}

// put adds e. It replaces an older event of its key and takes its place in the queue.
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

// insertLocked adds e. If the outbox is full, it drops the oldest event of the highest
// rank, or e itself if that has a higher one.
func (o *outbox) insertLocked(e *event) {
	_, replaces := o.waiting[e.key]
	if !replaces && len(o.waiting) >= o.limit {
		o.counts.dropped.Add(1)
		last := o.leastImportantLocked()
		if last.rank < e.rank {
			return
		}
		delete(o.waiting, last.key)
	}
	o.waiting[e.key] = e
	o.wake.send()
}

// seal drops what is put from now on, and lets flushed be closed.
func (o *outbox) seal() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sealed = true
	o.signalFlushedLocked()
	o.wake.send()
}

// take removes and returns the next event to send, or nil if there is none or too
// many calls are under way. The caller must call finished for it.
func (o *outbox) take() *event {
	o.mu.Lock()
	defer o.mu.Unlock()
	limit := maxCalls
	if o.sealed {
		limit++
	}
	if len(o.waiting) == 0 || o.calls >= limit {
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

// before reports whether e is sent before other. An event that failed more often is
// sent later, so that an event that the broker always refuses does not hold up the
// others. STOPPED is tried three times first.
func (e *event) before(other *event) bool {
	if e.urgent() != other.urgent() {
		return e.urgent()
	}
	return cmp.Or(
		cmp.Compare(e.tries, other.tries),
		cmp.Compare(e.rank, other.rank),
		cmp.Compare(e.seq, other.seq),
	) < 0
}

func (e *event) urgent() bool { return e.rank == rankStopped && e.tries < 3 }

func (o *outbox) leastImportantLocked() *event {
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
	// Guarded by the outbox.
	returned, abandoned bool
}

// finished records that a call returned and reports whether it was still waited for.
func (o *outbox) finished(c *call, err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	c.returned = true
	o.calls--
	if err == nil {
		o.fails = 0
	}
	if c.abandoned {
		// It was accepted after all, so it need not be sent again.
		if err == nil && o.waiting[c.event.key] == c.event {
			delete(o.waiting, c.event.key)
		}
	} else {
		delete(o.pending, c.event)
		if err != nil {
			o.fails++
			o.requeueLocked(c.event)
		}
	}
	o.signalFlushedLocked()
	o.wake.send()
	return !c.abandoned
}

// abandon gives up waiting for a call and queues its event again. failed says whether
// that counts as a failure. It reports whether the call had not returned.
func (o *outbox) abandon(c *call, failed bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c.returned {
		return false
	}
	c.abandoned = true
	delete(o.pending, c.event)
	if failed {
		o.fails++
	}
	o.requeueLocked(c.event)
	o.signalFlushedLocked()
	return true
}

// requeueLocked puts back an event that was not published, unless there is a newer one.
func (o *outbox) requeueLocked(e *event) {
	if _, newer := o.waiting[e.key]; newer {
		o.counts.replaced.Add(1)
		return
	}
	o.insertLocked(e)
}

func (o *outbox) signalFlushedLocked() {
	if o.sealed && !o.done && len(o.waiting) == 0 && len(o.pending) == 0 {
		o.done = true
		close(o.flushed)
	}
}

// failures returns the number of failed calls since the last one that succeeded.
func (o *outbox) failures() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fails
}

// unsent returns the number of events that are not published, and whether STOPPED is
// one of them.
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
