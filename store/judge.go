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

// staleAfter is how long an entry is silent when it becomes stale.
func (e *entry) staleAfter() time.Duration {
	interval := e.interval()
	return interval + max(interval/2, minGrace)
}

// missingAfter is how long an entry is silent when it becomes missing.
func (e *entry) missingAfter() time.Duration {
	return max(e.ttl(), e.staleAfter())
}

// heard returns the time from which the silence of an entry counts: its arrival. An entry
// of a former run that was fresh then has its time again from the start of this run on. One
// that was stale has been silent for as long as then. What is stopped is not expected to
// report, so only its age counts.
func (s *Store) heard(e *entry) time.Duration {
	if e.arrival >= 0 || e.state == stopped || e.reportsStopped() {
		return e.arrival
	}
	if at, wasStale := s.silent[e]; wasStale {
		return at
	}
	return s.resumed
}

// dueTick returns the tick at which an entry in the wheel is judged next.
func (s *Store) dueTick(e *entry) uint32 { return ticksUp(s.heard(e) + e.dueAfter()) }

// dueAfter is how long an entry in the wheel is silent when it is judged next.
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

// fromBeforeTheStop reports whether a check or stats are no newer than the STOPPED of their
// node.
func (e *entry) fromBeforeTheStop() bool {
	return e.kind != KindStatus && e.node.reportsStopped() && e.timestamp <= e.node.status.timestamp
}

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
	for now-s.heard(e) >= e.dueAfter() {
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
	s.wheel.put(e, s.dueTick(e))
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
	if due := s.dueTick(e); due < e.due {
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
	s.drop(e, why, now)
	s.counters.Forgotten++
}

// evict removes an evictable entry to make room.
func (s *Store) evict(e *entry, now time.Duration) {
	s.drop(e, evicted, now)
	s.counters.Evicted++
}

// drop removes an entry and says why.
func (s *Store) drop(e *entry, why cause, now time.Duration) {
	s.record(e, e.judgement(), judgedForgotten, why, now)
	s.unlist(e)
	s.removeFromIndexes(e, now)
}

// unlist removes an entry from its list.
func (s *Store) unlist(e *entry) {
	if e.state.evictable() {
		s.queue(e).remove(e)
	} else {
		s.wheel.remove(e)
	}
}

// stopReports hides the checks and stats of a node that reported STOPPED, but for newer
// ones.
func (s *Store) stopReports(n *node, now time.Duration) {
	for e := range n.entries {
		if !e.state.evictable() && e.fromBeforeTheStop() {
			was := e.indexed()
			e.state = stopped
			s.changed(e, was, reported, now)
		}
	}
}

// reviveReports shows the checks and stats of a node that runs again in their former
// status, and gives them time to report.
func (s *Store) reviveReports(n *node, now time.Duration) {
	for e := range n.entries {
		if e.state == stopped {
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
		past: uint32((now - e.arrival) / time.Second), limit: uint32(e.interval() / time.Second),
	}
	switch why {
	case wentMissing:
		r.limit = uint32(e.ttl() / time.Second)
	case forgottenMissing:
		r.past = uint32(s.cfg.Retention / time.Second)
	}
	if e.kind == KindCheck {
		r.id, r.error = e.id.value, errorOf(e.body)
	}
	s.ring.add(r)
}
