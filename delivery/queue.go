package delivery

import (
	"cmp"
	"slices"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// Counters count notices of a receiver since it exists. Each notice ends in one
// of Delivered, Refused, Expired, Dropped, Superseded and Suppressed.
type Counts struct {
	// Delivered were taken by the receiver.
	Delivered uint64 `json:"delivered"`
	// Refused were refused for good: trying again is of no use.
	Refused uint64 `json:"refused"`
	// Expired waited for longer than Options.MaxAge.
	Expired uint64 `json:"expired"`
	// Dropped did not fit: see Options.History and Options.Monitors.
	Dropped uint64 `json:"dropped"`
	// Superseded were overtaken by newer ones before they could be told.
	Superseded uint64 `json:"superseded"`
	// Suppressed are recoveries of failures that were never told.
	Suppressed uint64 `json:"suppressed"`
}

// backlog holds what a receiver has still to be told. It knows neither clock nor
// lock. Of each monitor it always keeps the newest incident; of older ones, which
// are over, at most history notices in all.
//
// A message of several notices that may have been taken is frozen: it is told
// again as it was, so that its id is the same and a copy can be known, and what
// came since makes the next one. That matters more than telling the newest state
// in one message: a receiver may hear of a failure that is over by now, with its
// recovery some seconds behind it, but of nothing twice under two ids. A message
// that nobody can have heard is made anew, with the newest state.
type queue struct {
	monitors    map[string]*monitorQueue
	ready       []*monitorQueue // those with something to tell, longest waiting first
	depth       int             // entries in all
	olderCount  int             // entries of older incidents
	maxOlder    int             // bound of older
	maxMonitors int             // bound of threads
	counts      Counts

	draining bool // stopping: each thread gets attempts until one fails
}

func newQueue(history, limit int) *queue {
	return &queue{monitors: map[string]*monitorQueue{}, maxOlder: history, maxMonitors: limit}
}

// add takes a notice that came at a time, as a change of the Keeper or none.
func (b *queue) add(n action.Notification, at time.Time, change uint64) {
	t := b.monitors[n.Monitor]
	if t == nil {
		if n.Event == action.Recover {
			b.counts.Suppressed++
			return
		}
		if len(b.monitors) >= b.maxMonitors {
			b.counts.Dropped++
			return
		}
		t = &monitorQueue{monitor: n.Monitor}
		b.monitors[n.Monitor] = t
	}
	t.forgotten = false
	failing, over := t.coverage(n.Incident)
	switch {
	case n.Event == action.Recover && !failing:
		b.counts.Suppressed++
		return
	case n.Event == action.Fail && failing, n.Event != action.Init && over:
		b.counts.Superseded++
		return
	}
	b.olderCount -= t.olderCount()
	t.entries = append(t.entries, entry{n, at, change})
	b.olderCount += t.olderCount()
	b.depth++
	b.trim(t)
	b.enqueue(t)
}

// trim drops what t need not tell any more, or cannot keep.
func (b *queue) trim(t *monitorQueue) {
	b.olderCount -= t.olderCount()
	b.depth -= t.prune(&b.counts)
	b.olderCount += t.olderCount()
	for b.olderCount > b.maxOlder && b.dropOldest(t) {
	}
}

// dropOldest drops the oldest incident of t that is over, was never told and is
// not held, and reports whether there was one.
func (b *queue) dropOldest(t *monitorQueue) bool {
	newest := t.newestIncident()
	for _, e := range t.entries[t.held():] {
		if e.Event == action.Init || e.Incident == newest || e.Incident == t.notified || t.holds(e.Incident) {
			continue
		}
		n := b.drop(t, e.Incident)
		b.olderCount -= n
		b.counts.Dropped += uint64(n)
		return true
	}
	return false
}

// drop removes the entries of an incident that are not held and returns how many
// there were.
func (b *queue) drop(t *monitorQueue, incident string) int {
	before, held := len(t.entries), t.held()
	rest := slices.DeleteFunc(t.entries[held:], func(e entry) bool {
		return e.Event != action.Init && e.Incident == incident
	})
	t.entries = t.entries[:held+len(rest)]
	n := before - len(t.entries)
	b.depth -= n
	return n
}

// queue puts t at the end of those that are ready, if it is one of them.
func (b *queue) enqueue(t *monitorQueue) {
	if !t.queued && t.inFlight == 0 && len(t.entries) > 0 {
		t.queued = true
		b.ready = append(b.ready, t)
	}
}

// release forgets t if it has nothing more to tell or to remember.
func (b *queue) removeIfEmpty(t *monitorQueue) {
	if len(t.entries) == 0 && (t.notified == "" || t.forgotten) && !t.queued {
		delete(b.monitors, t.monitor)
	}
}

// take returns the threads to tell of now, at most limit of them, with their
// first entry in flight. If whole, it is all of their entries, which are frozen
// by that, or those of them that are frozen already and nothing else. It drops
// entries that came before oldest.
func (b *queue) take(limit int, whole bool, oldest time.Time) []*monitorQueue {
	var taken, passed []*monitorQueue
	again := whole && slices.ContainsFunc(b.ready, func(t *monitorQueue) bool { return t.frozen > 0 })
	for len(b.ready) > 0 && len(taken) < limit {
		t := b.ready[0]
		b.ready = b.ready[1:]
		b.expire(t, oldest)
		switch {
		case len(t.entries) == 0:
			t.queued = false
			b.removeIfEmpty(t)
		case b.draining && t.triedDraining, again && t.frozen == 0:
			passed = append(passed, t)
		default:
			t.queued = false
			t.inFlight = 1
			if whole {
				t.newlyFrozen = t.frozen == 0
				t.frozen = cmp.Or(t.frozen, len(t.entries))
				t.inFlight = t.frozen
			}
			taken = append(taken, t)
		}
	}
	b.ready = append(passed, b.ready...)
	if again && b.draining && len(taken) == 0 {
		for _, t := range passed {
			t.triedDraining = true // behind what just failed
		}
	}
	return taken
}

// waiting reports whether take would return something, expiry apart.
func (b *queue) hasWork() bool {
	if !b.draining {
		return len(b.ready) > 0
	}
	return slices.ContainsFunc(b.ready, func(t *monitorQueue) bool { return !t.triedDraining })
}

// expire drops the entries of t that came before oldest.
func (b *queue) expire(t *monitorQueue, oldest time.Time) {
	for len(t.entries) > 0 && t.entries[0].at.Before(oldest) {
		b.counts.Expired++
		b.discard(t)
	}
}

// fail drops the first entry of t for good. With a failure that was not told by
// anything else go the later words on it, which would make no sense.
func (b *queue) discard(t *monitorQueue) {
	b.olderCount -= t.olderCount()
	e := b.pop(t)
	switch {
	case e.Event == action.Recover && t.notified == e.Incident:
		t.notified = ""
	case (e.Event == action.Fail || e.Event == action.Repeat) && t.notified != e.Incident && !containsFailure(t.entries, e.Incident):
		b.counts.Suppressed += uint64(b.drop(t, e.Incident))
	}
	b.olderCount += t.olderCount()
}

// pop removes the first entry of t.
func (b *queue) pop(t *monitorQueue) entry {
	e := t.entries[0]
	t.entries = slices.Delete(t.entries, 0, 1)
	t.inFlight, t.frozen = max(0, t.inFlight-1), max(0, t.frozen-1)
	b.depth--
	return e
}

// outcome says how an attempt went.
type outcome int

const (
	outcomeDelivered   outcome = iota
	outcomeRefused             // for good
	outcomeFailed              // to be tried again: it may have been taken
	outcomeUnreachable         // to be tried again: nobody can have heard it
)

// settle ends the attempt on a thread.
func (b *queue) settle(t *monitorQueue, o outcome) {
	again := o == outcomeFailed || o == outcomeUnreachable
	for t.inFlight > 0 && !again {
		if o == outcomeDelivered {
			b.deliver(t)
			continue
		}
		b.counts.Refused++
		b.discard(t)
	}
	t.inFlight = 0
	if o == outcomeUnreachable && t.newlyFrozen {
		t.frozen = 0
	}
	t.triedDraining = again && b.draining
	b.trim(t)
	b.enqueue(t)
	b.removeIfEmpty(t)
}

// deliver removes the first entry of t, which was told.
func (b *queue) deliver(t *monitorQueue) {
	b.olderCount -= t.olderCount()
	e := b.pop(t)
	b.counts.Delivered++
	switch {
	case e.Event == action.Fail || e.Event == action.Repeat:
		t.notified = e.Incident
	case e.Event == action.Recover && t.notified == e.Incident:
		t.notified = ""
	}
	b.olderCount += t.olderCount()
}

// forget drops the memory of a monitor that is no more. What it has still to
// tell stays, and that a failure was told whose end waits: without that, the end
// would not be told after a restart.
func (b *queue) forget(monitor string) {
	t := b.monitors[monitor]
	if t == nil {
		return
	}
	t.forgotten = true
	if _, over := t.coverage(t.notified); !over {
		t.notified = ""
	}
	b.removeIfEmpty(t)
}

// restore takes a notice that waited in an earlier process. It is frozen if that
// one may have told it in one message with others: at once, before what came after
// it makes it pointless.
func (b *queue) restore(n action.Notification, at time.Time, tried bool) {
	b.add(n, at, 0)
	t := b.monitors[n.Monitor]
	if tried && t != nil && t.frozen == len(t.entries)-1 && t.entries[t.frozen].Key() == n.Key() {
		t.frozen++
	}
}

// remember takes it that a failure was told by an earlier process.
func (b *queue) restoreNotified(monitor, incident string) {
	t := b.monitors[monitor]
	if t == nil && len(b.monitors) < b.maxMonitors {
		t = &monitorQueue{monitor: monitor}
		b.monitors[monitor] = t
	}
	if t != nil {
		t.notified = incident
	}
}
