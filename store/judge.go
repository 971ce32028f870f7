package store

import (
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// maxStep bounds how many entries are judged without releasing the lock. An entry that
// changes takes a few microseconds.
const maxStep = 128

// minGrace is the shortest grace.
const minGrace = 2 * time.Second

// staleAfter is how long after its arrival the entry becomes stale.
func (e *entry) staleAfter() time.Duration {
	interval := time.Duration(e.interval) * time.Second
	return interval + max(interval/2, minGrace)
}

// missingAfter is how long after its arrival the entry becomes missing.
func (e *entry) missingAfter() time.Duration {
	return max(time.Duration(e.ttl)*time.Second, e.staleAfter())
}

// dueAfter is how long after its arrival an entry in the wheel is judged next.
func (e *entry) dueAfter() time.Duration {
	if e.state == live && e.kind != KindStats && !e.reportsStopped() {
		return e.staleAfter()
	}
	return e.missingAfter()
}

// reportsStopped reports whether the entry is the status of a node that was stopped on
// purpose.
func (e *entry) reportsStopped() bool {
	return e.kind == KindStatus && e.reported == uint8(healthpb.Status_STOPPED)
}

func (n *node) reportsStopped() bool { return n.status != nil && n.status.reportsStopped() }

// advance judges all entries that are due. Every method calls it first, so that answers
// are right even if a tick is late.
func (s *Store) advance() {
	for s.clock.overdue() {
		s.step()
	}
}

// step judges up to maxStep entries.
func (s *Store) step() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.now()
	s.clock.readWall(now)
	for range maxStep {
		if !s.judgeNext(now) {
			s.clock.due.Store(int64(s.clock.frozen + time.Duration(s.wheel.at)*tick))
			return
		}
	}
}

// judgeNext judges one entry, if any is due.
func (s *Store) judgeNext(now time.Duration) bool {
	if e := s.wheel.next(ticks(now)); e != nil {
		s.judge(e, now)
		return true
	}
	for _, q := range []*list{&s.missing, &s.retired} {
		if e := q.head; e != nil && e.due <= ticks(now) {
			s.forget(e, now)
			return true
		}
	}
	return false
}

// judge updates the state of an entry that is in no list, and puts it in the right list.
func (s *Store) judge(e *entry, now time.Duration) {
	for now-e.arrival >= e.dueAfter() {
		if e.state == stopped {
			s.removeFromIndexes(e, now)
			return
		}
		was := e.indexed()
		state, why := s.after(e)
		if e.state = state; state == stale || state == missing {
			e.status = uint8(healthpb.HealthCheck_UNKNOWN)
		}
		s.changed(e, was, why, now)
		if state.evictable() {
			e.due = ticksUp(now + s.cfg.Retention)
			s.queue(e).push(e)
			return
		}
	}
	s.wheel.put(e, ticksUp(e.arrival+e.dueAfter()))
}

// after returns the next state of an entry that is due, and why.
func (s *Store) after(e *entry) (state, cause) {
	switch {
	case e.reportsStopped():
		return retired, reported
	case e.state != live || e.kind == KindStats:
		return missing, wentMissing
	case e.kind == KindCheck && e.node.reportsStopped():
		return stopped, reported
	}
	if _, marked := s.marks[e]; marked {
		return stale, onlyOutdated
	}
	return stale, wentStale
}

// queue returns the queue of an evictable entry.
func (s *Store) queue(e *entry) *list {
	if e.state == retired {
		return &s.retired
	}
	return &s.missing
}

// reschedule moves an entry in the wheel if it is due earlier than before.
func (s *Store) reschedule(e *entry) {
	if due := ticksUp(e.arrival + e.dueAfter()); due < e.due {
		s.wheel.remove(e)
		s.wheel.put(e, due)
	}
}

// forget removes an evictable entry after its retention.
func (s *Store) forget(e *entry, now time.Duration) {
	why := forgottenMissing
	if e.state == retired {
		why = forgottenStopped
	}
	s.dropEvictable(e, why, now)
	s.counters.Forgotten++
}

// evict removes an evictable entry to make room.
func (s *Store) evict(e *entry, now time.Duration) {
	s.dropEvictable(e, evicted, now)
	s.counters.Evicted++
}

// dropEvictable removes an evictable entry.
func (s *Store) dropEvictable(e *entry, why cause, now time.Duration) {
	s.record(e, e.judgement(), judgedForgotten, why, now)
	s.queue(e).remove(e)
	s.removeFromIndexes(e, now)
}

// stopChecks hides the checks that became stale before their node reported STOPPED.
func (s *Store) stopChecks(n *node, now time.Duration) {
	for _, c := range n.checks {
		if e := c.entry; e.state == stale {
			was := e.indexed()
			e.state = stopped
			s.changed(e, was, reported, now)
		}
	}
}

// reviveChecks shows the checks of a node that runs again in their former status, and
// gives them time to report.
func (s *Store) reviveChecks(n *node, now time.Duration) {
	for _, c := range n.checks {
		if e := c.entry; e.state == stopped {
			was := e.indexed()
			e.state, e.arrival = live, now
			s.changed(e, was, reported, now)
			s.reschedule(e)
		}
	}
}

// record adds a transition to the ring.
func (s *Store) record(e *entry, from, to judgement, why cause, now time.Duration) {
	if e.kind == KindStats {
		return
	}
	r := record{
		unixNano: s.clock.unixNano(now), kind: e.kind, from: from, to: to, cause: why,
		service: e.node.version.service.name, version: e.node.version.name, node: e.node.id,
		past: uint32((now - e.arrival) / time.Second), limit: uint32(e.interval),
	}
	switch why {
	case wentMissing:
		r.limit = e.ttl
	case forgottenMissing:
		r.past = uint32(s.cfg.Retention / time.Second)
	}
	if e.kind == KindCheck {
		r.id, r.error = e.id.value, errorOf(e.body)
	}
	s.ring.add(r)
}
