package delivery

import (
	"cmp"
	"slices"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// Counters count notices of a receiver since it exists. Each notice ends in one
// of Delivered, Refused, Expired, Dropped, Superseded and Suppressed.
type Counters struct {
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
type backlog struct {
	threads map[string]*thread
	ready   []*thread // those with something to tell, longest waiting first
	depth   int       // entries in all
	older   int       // entries of older incidents
	history int       // bound of older
	limit   int       // bound of threads
	count   Counters

	draining bool // stopping: each thread gets attempts until one fails
}

func newBacklog(history, limit int) *backlog {
	return &backlog{threads: map[string]*thread{}, history: history, limit: limit}
}

// add takes a notice that came at a time, as a change of the Keeper or none.
func (b *backlog) add(n action.Notice, at time.Time, change uint64) {
	t := b.threads[n.Monitor]
	if t == nil {
		if n.Event == action.Recover {
			b.count.Suppressed++
			return
		}
		if len(b.threads) >= b.limit {
			b.count.Dropped++
			return
		}
		t = &thread{monitor: n.Monitor}
		b.threads[n.Monitor] = t
	}
	t.gone = false
	failing, over := t.knows(n.Incident)
	switch {
	case n.Event == action.Recover && !failing:
		b.count.Suppressed++
		return
	case n.Event == action.Fail && failing, n.Event != action.Init && over:
		b.count.Superseded++
		return
	}
	b.older -= t.older()
	t.entries = append(t.entries, entry{n, at, change})
	b.older += t.older()
	b.depth++
	b.trim(t)
	b.queue(t)
}

// trim drops what t need not tell any more, or cannot keep.
func (b *backlog) trim(t *thread) {
	b.older -= t.older()
	b.depth -= t.prune(&b.count)
	b.older += t.older()
	for b.older > b.history && b.dropOldest(t) {
	}
}

// dropOldest drops the oldest incident of t that is over, was never told and is
// not held, and reports whether there was one.
func (b *backlog) dropOldest(t *thread) bool {
	newest := t.newest()
	for _, e := range t.entries[t.held():] {
		if e.Event == action.Init || e.Incident == newest || e.Incident == t.told || t.holds(e.Incident) {
			continue
		}
		n := b.drop(t, e.Incident)
		b.older -= n
		b.count.Dropped += uint64(n)
		return true
	}
	return false
}

// drop removes the entries of an incident that are not held and returns how many
// there were.
func (b *backlog) drop(t *thread, incident string) int {
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
func (b *backlog) queue(t *thread) {
	if !t.queued && t.inFlight == 0 && len(t.entries) > 0 {
		t.queued = true
		b.ready = append(b.ready, t)
	}
}

// release forgets t if it has nothing more to tell or to remember.
func (b *backlog) release(t *thread) {
	if len(t.entries) == 0 && (t.told == "" || t.gone) && !t.queued {
		delete(b.threads, t.monitor)
	}
}

// take returns the threads to tell of now, at most limit of them, with their
// first entry in flight. If whole, it is all of their entries, which are frozen
// by that, or those of them that are frozen already and nothing else. It drops
// entries that came before oldest.
func (b *backlog) take(limit int, whole bool, oldest time.Time) []*thread {
	var taken, passed []*thread
	again := whole && slices.ContainsFunc(b.ready, func(t *thread) bool { return t.frozen > 0 })
	for len(b.ready) > 0 && len(taken) < limit {
		t := b.ready[0]
		b.ready = b.ready[1:]
		b.expire(t, oldest)
		switch {
		case len(t.entries) == 0:
			t.queued = false
			b.release(t)
		case b.draining && t.tried, again && t.frozen == 0:
			passed = append(passed, t)
		default:
			t.queued = false
			t.inFlight = 1
			if whole {
				t.fresh = t.frozen == 0
				t.frozen = cmp.Or(t.frozen, len(t.entries))
				t.inFlight = t.frozen
			}
			taken = append(taken, t)
		}
	}
	b.ready = append(passed, b.ready...)
	if again && b.draining && len(taken) == 0 {
		for _, t := range passed {
			t.tried = true // behind what just failed
		}
	}
	return taken
}

// waiting reports whether take would return something, expiry apart.
func (b *backlog) waiting() bool {
	if !b.draining {
		return len(b.ready) > 0
	}
	return slices.ContainsFunc(b.ready, func(t *thread) bool { return !t.tried })
}

// expire drops the entries of t that came before oldest.
func (b *backlog) expire(t *thread, oldest time.Time) {
	for len(t.entries) > 0 && t.entries[0].at.Before(oldest) {
		b.count.Expired++
		b.fail(t)
	}
}

// fail drops the first entry of t for good. With a failure that was not told by
// anything else go the later words on it, which would make no sense.
func (b *backlog) fail(t *thread) {
	b.older -= t.older()
	e := b.pop(t)
	switch {
	case e.Event == action.Recover && t.told == e.Incident:
		t.told = ""
	case (e.Event == action.Fail || e.Event == action.Repeat) && t.told != e.Incident && !waits(t.entries, e.Incident):
		b.count.Suppressed += uint64(b.drop(t, e.Incident))
	}
	b.older += t.older()
}

// pop removes the first entry of t.
func (b *backlog) pop(t *thread) entry {
	e := t.entries[0]
	t.entries = slices.Delete(t.entries, 0, 1)
	t.inFlight, t.frozen = max(0, t.inFlight-1), max(0, t.frozen-1)
	b.depth--
	return e
}

// outcome says how an attempt went.
type outcome int

const (
	delivered outcome = iota
	refused           // for good
	postponed         // to be tried again: it may have been taken
	unheard           // to be tried again: nobody can have heard it
)

// settle ends the attempt on a thread.
func (b *backlog) settle(t *thread, o outcome) {
	again := o == postponed || o == unheard
	for t.inFlight > 0 && !again {
		if o == delivered {
			b.deliver(t)
			continue
		}
		b.count.Refused++
		b.fail(t)
	}
	t.inFlight = 0
	if o == unheard && t.fresh {
		t.frozen = 0
	}
	t.tried = again && b.draining
	b.trim(t)
	b.queue(t)
	b.release(t)
}

// deliver removes the first entry of t, which was told.
func (b *backlog) deliver(t *thread) {
	b.older -= t.older()
	e := b.pop(t)
	b.count.Delivered++
	switch {
	case e.Event == action.Fail || e.Event == action.Repeat:
		t.told = e.Incident
	case e.Event == action.Recover && t.told == e.Incident:
		t.told = ""
	}
	b.older += t.older()
}

// forget drops the memory of a monitor that is no more. What it has still to
// tell stays, and that a failure was told whose end waits: without that, the end
// would not be told after a restart.
func (b *backlog) forget(monitor string) {
	t := b.threads[monitor]
	if t == nil {
		return
	}
	t.gone = true
	if _, over := t.knows(t.told); !over {
		t.told = ""
	}
	b.release(t)
}

// restore takes a notice that waited in an earlier process. It is frozen if that
// one may have told it in one message with others: at once, before what came after
// it makes it pointless.
func (b *backlog) restore(n action.Notice, at time.Time, tried bool) {
	b.add(n, at, 0)
	t := b.threads[n.Monitor]
	if tried && t != nil && t.frozen == len(t.entries)-1 && t.entries[t.frozen].Key() == n.Key() {
		t.frozen++
	}
}

// remember takes it that a failure was told by an earlier process.
func (b *backlog) remember(monitor, incident string) {
	t := b.threads[monitor]
	if t == nil && len(b.threads) < b.limit {
		t = &thread{monitor: monitor}
		b.threads[monitor] = t
	}
	if t != nil {
		t.told = incident
	}
}
