package delivery

import (
	"cmp"
	"slices"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// Counts count the notifications of a receiver since it was added. Each
// notification ends up in one of Delivered, Refused, Expired, Dropped, Superseded
// and Suppressed.
type Counts struct {
	// Delivered were accepted by the receiver.
	Delivered uint64 `json:"delivered"`
	// Refused failed with a permanent error and are not retried.
	Refused uint64 `json:"refused"`
	// Expired were pending for longer than Options.MaxAge.
	Expired uint64 `json:"expired"`
	// Dropped exceeded a bound: see Options.History and Options.Monitors.
	Dropped uint64 `json:"dropped"`
	// Superseded were replaced by newer ones before they were sent.
	Superseded uint64 `json:"superseded"`
	// Suppressed are recoveries whose failure was never delivered.
	Suppressed uint64 `json:"suppressed"`
}

// queue holds the pending notifications of a receiver. It has neither a clock nor
// a lock. It always retains the newest incident of each monitor. Of older incidents,
// which are over, it retains maxOlder notifications in all.
//
// A grouped message that may have been delivered is frozen: it is sent again
// unchanged, so that a receiver recognizes the copy by its id. Newer notifications
// form the next message. The price is that a receiver may be notified of a failure
// that is over, with the recovery some seconds later. A message that cannot have
// been delivered is rebuilt from the newest state.
type queue struct {
	monitors    map[string]*monitorQueue
	ready       []*monitorQueue // those with notifications to send, longest waiting first
	depth       int             // entries in all
	olderCount  int             // entries of older incidents
	maxOlder    int             // bound of olderCount
	maxMonitors int             // bound of monitors
	counts      Counts

	draining bool // stopping: each monitor gets attempts until one fails
}

func newQueue(maxOlder, maxMonitors int) *queue {
	return &queue{monitors: map[string]*monitorQueue{}, maxOlder: maxOlder, maxMonitors: maxMonitors}
}

// add enqueues a notification with the time of its arrival and the change of the
// Persister that must be persisted first, 0 for none.
func (q *queue) add(n action.Notification, at time.Time, change uint64) {
	m := q.monitors[n.Monitor]
	if m == nil {
		if n.Event == action.Recover {
			q.counts.Suppressed++
			return
		}
		if len(q.monitors) >= q.maxMonitors {
			q.counts.Dropped++
			return
		}
		m = &monitorQueue{monitor: n.Monitor}
		q.monitors[n.Monitor] = m
	}
	m.forgotten = false
	failure, recovery := m.coverage(n.Incident)
	switch {
	case n.Event == action.Recover && !failure:
		q.counts.Suppressed++
		return
	case n.Event == action.Fail && failure, n.Event != action.Init && recovery:
		q.counts.Superseded++
		return
	}
	q.olderCount -= m.olderCount()
	m.entries = append(m.entries, entry{n, at, change})
	q.olderCount += m.olderCount()
	q.depth++
	q.trim(m)
	q.enqueue(m)
}

// trim drops entries of m that are superseded or exceed the bound.
func (q *queue) trim(m *monitorQueue) {
	q.olderCount -= m.olderCount()
	q.depth -= m.prune(&q.counts)
	q.olderCount += m.olderCount()
	for q.olderCount > q.maxOlder && q.dropOldest(m) {
	}
}

// dropOldest drops the oldest incident of m that is over, was never delivered and is
// not held. It reports whether there was one.
func (q *queue) dropOldest(m *monitorQueue) bool {
	newest := m.newestIncident()
	for _, e := range m.entries[m.held():] {
		if e.Event == action.Init || e.Incident == newest || e.Incident == m.notified || m.holds(e.Incident) {
			continue
		}
		n := q.drop(m, e.Incident)
		q.olderCount -= n
		q.counts.Dropped += uint64(n)
		return true
	}
	return false
}

// drop removes the entries of an incident that are not held and returns their
// number.
func (q *queue) drop(m *monitorQueue, incident string) int {
	before, held := len(m.entries), m.held()
	rest := slices.DeleteFunc(m.entries[held:], func(e entry) bool {
		return e.Event != action.Init && e.Incident == incident
	})
	m.entries = m.entries[:held+len(rest)]
	n := before - len(m.entries)
	q.depth -= n
	return n
}

// enqueue appends m to the ready ones if it has something to send.
func (q *queue) enqueue(m *monitorQueue) {
	if !m.queued && m.inFlight == 0 && len(m.entries) > 0 {
		m.queued = true
		q.ready = append(q.ready, m)
	}
}

// removeIfEmpty removes m if nothing is pending and nothing must be remembered.
func (q *queue) removeIfEmpty(m *monitorQueue) {
	if len(m.entries) == 0 && (m.notified == "" || m.forgotten) && !m.queued {
		delete(q.monitors, m.monitor)
	}
}

// take returns at most limit monitors to notify about now, with their first entry in
// flight. If grouped, all of their entries are in flight and become frozen; if some
// are frozen already, only those are taken. It drops entries older than oldest.
func (q *queue) take(limit int, grouped bool, oldest time.Time) []*monitorQueue {
	var taken, skipped []*monitorQueue
	retry := grouped && slices.ContainsFunc(q.ready, func(m *monitorQueue) bool { return m.frozen > 0 })
	for len(q.ready) > 0 && len(taken) < limit {
		m := q.ready[0]
		q.ready = q.ready[1:]
		q.expire(m, oldest)
		switch {
		case len(m.entries) == 0:
			m.queued = false
			q.removeIfEmpty(m)
		case q.draining && m.triedDraining, retry && m.frozen == 0:
			skipped = append(skipped, m)
		default:
			m.queued = false
			m.inFlight = 1
			if grouped {
				m.newlyFrozen = m.frozen == 0
				m.frozen = cmp.Or(m.frozen, len(m.entries))
				m.inFlight = m.frozen
			}
			taken = append(taken, m)
		}
	}
	q.ready = append(skipped, q.ready...)
	if retry && q.draining && len(taken) == 0 {
		for _, m := range skipped {
			m.triedDraining = true // it follows what just failed
		}
	}
	return taken
}

// hasWork reports whether take would return something, apart from expiry.
func (q *queue) hasWork() bool {
	if !q.draining {
		return len(q.ready) > 0
	}
	return slices.ContainsFunc(q.ready, func(m *monitorQueue) bool { return !m.triedDraining })
}

// expire drops the entries of m that are older than oldest.
func (q *queue) expire(m *monitorQueue, oldest time.Time) {
	for len(m.entries) > 0 && m.entries[0].at.Before(oldest) {
		q.counts.Expired++
		q.discard(m)
	}
}

// discard drops the first entry of m without delivery. If that leaves a failure
// undelivered, the later notifications of its incident are suppressed too.
func (q *queue) discard(m *monitorQueue) {
	q.olderCount -= m.olderCount()
	e := q.pop(m)
	switch {
	case e.Event == action.Recover && m.notified == e.Incident:
		m.notified = ""
	case (e.Event == action.Fail || e.Event == action.Repeat) && m.notified != e.Incident && !containsFailure(m.entries, e.Incident):
		q.counts.Suppressed += uint64(q.drop(m, e.Incident))
	}
	q.olderCount += m.olderCount()
}

// pop removes the first entry of m.
func (q *queue) pop(m *monitorQueue) entry {
	e := m.entries[0]
	m.entries = slices.Delete(m.entries, 0, 1)
	m.inFlight, m.frozen = max(0, m.inFlight-1), max(0, m.frozen-1)
	q.depth--
	return e
}

// outcome is the result of an attempt.
type outcome int

const (
	outcomeDelivered   outcome = iota
	outcomeRefused             // not retried
	outcomeFailed              // retried; it may have been delivered
	outcomeUnreachable         // retried; it cannot have been delivered
)

// settle records the outcome of an attempt for m.
func (q *queue) settle(m *monitorQueue, o outcome) {
	retry := o == outcomeFailed || o == outcomeUnreachable
	for m.inFlight > 0 && !retry {
		if o == outcomeDelivered {
			q.deliver(m)
			continue
		}
		q.counts.Refused++
		q.discard(m)
	}
	m.inFlight = 0
	if o == outcomeUnreachable && m.newlyFrozen {
		m.frozen = 0
	}
	m.triedDraining = retry && q.draining
	q.trim(m)
	q.enqueue(m)
	q.removeIfEmpty(m)
}

// deliver removes the first entry of m, which was delivered.
func (q *queue) deliver(m *monitorQueue) {
	q.olderCount -= m.olderCount()
	e := q.pop(m)
	q.counts.Delivered++
	switch {
	case e.Event == action.Fail || e.Event == action.Repeat:
		m.notified = e.Incident
	case e.Event == action.Recover && m.notified == e.Incident:
		m.notified = ""
	}
	q.olderCount += m.olderCount()
}

// forget drops what is remembered of a monitor that was removed. Pending notifications
// stay. So does the notified incident while its recovery is pending: without it, a
// restart would suppress the recovery.
func (q *queue) forget(monitor string) {
	m := q.monitors[monitor]
	if m == nil {
		return
	}
	m.forgotten = true
	if _, recovery := m.coverage(m.notified); !recovery {
		m.notified = ""
	}
	q.removeIfEmpty(m)
}

// restore enqueues a notification of an earlier process. If that process may have
// delivered it as part of a grouped message, it becomes frozen at once, before a newer
// notification supersedes it.
func (q *queue) restore(n action.Notification, at time.Time, attempted bool) {
	q.add(n, at, 0)
	m := q.monitors[n.Monitor]
	if attempted && m != nil && m.frozen == len(m.entries)-1 && m.entries[m.frozen].Key() == n.Key() {
		m.frozen++
	}
}

// restoreNotified restores that a failure was delivered by an earlier process.
func (q *queue) restoreNotified(monitor, incident string) {
	m := q.monitors[monitor]
	if m == nil && len(q.monitors) < q.maxMonitors {
		m = &monitorQueue{monitor: monitor}
		q.monitors[monitor] = m
	}
	if m != nil {
		m.notified = incident
	}
}
