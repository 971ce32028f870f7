package store

import (
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// maxStep bounds how many entries are judged without letting go of the lock.
// One takes a few microseconds if all of them change.
const maxStep = 128

// minGrace is the least time that an entry may be late.
const minGrace = 2 * time.Second

// silentAfter is how long after its arrival the entry counts as fresh.
func (e *entry) silentAfter() time.Duration {
	interval := time.Duration(e.interval) * time.Second
	return interval + max(interval/2, minGrace)
}

// missingAfter is how long after its arrival the entry is waited for.
func (e *entry) missingAfter() time.Duration {
	return max(time.Duration(e.ttl)*time.Second, e.silentAfter())
}

// staysFor is how long after its arrival an entry in the wheel stays as it is.
func (e *entry) staysFor() time.Duration {
	if e.state == live && e.kind != KindStats && !e.saysStopped() {
		return e.silentAfter()
	}
	return e.missingAfter()
}

// saysStopped tells whether the entry is the status of a node that was stopped
// on purpose.
func (e *entry) saysStopped() bool {
	return e.kind == KindStatus && e.reported == uint8(healthpb.Status_STOPPED)
}

func (n *node) saysStopped() bool { return n.status != nil && n.status.saysStopped() }

// advance judges all that has fallen silent by now. Everybody calls it first, so
// that a timer that was lost or is late never makes an answer untrue.
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

// judge puts an entry, that is in no list, where it belongs now.
func (s *Store) judge(e *entry, now time.Duration) {
	for now-e.arrival >= e.staysFor() {
		if e.state == stopped {
			s.drop(e, now)
			return
		}
		was := e.standing()
		state, why := s.after(e)
		if e.state = state; state == silent || state == missing {
			e.status = uint8(healthpb.HealthCheck_UNKNOWN)
		}
		s.changed(e, was, why, now)
		if state.evictable() {
			e.due = ticksUp(now + s.cfg.Retention)
			s.queue(e).push(e)
			return
		}
	}
	s.wheel.put(e, ticksUp(e.arrival+e.staysFor()))
}

// after returns what becomes of an entry that stayed as it is for long enough.
func (s *Store) after(e *entry) (state, cause) {
	switch {
	case e.saysStopped():
		return retired, reported
	case e.state != live || e.kind == KindStats:
		return missing, wentMissing
	case e.kind == KindCheck && e.node.saysStopped():
		return stopped, reported
	}
	if _, marked := s.marks[e]; marked {
		return silent, onlyOlder
	}
	return silent, fellSilent
}

// queue returns the queue of an entry that is evictable.
func (s *Store) queue(e *entry) *list {
	if e.state == retired {
		return &s.retired
	}
	return &s.missing
}

// hurry moves an entry forward in the wheel if it is due earlier than before.
func (s *Store) hurry(e *entry) {
	if due := ticksUp(e.arrival + e.staysFor()); due < e.due {
		s.wheel.remove(e)
		s.wheel.put(e, due)
	}
}

// forget drops an evictable entry whose retention has passed.
func (s *Store) forget(e *entry, now time.Duration) {
	why := forgottenMissing
	if e.state == retired {
		why = forgottenStopped
	}
	s.farewell(e, why, now)
	s.counters.Forgotten++
}

// evict drops an evictable entry because its room is needed.
func (s *Store) evict(e *entry, now time.Duration) {
	s.farewell(e, evicted, now)
	s.counters.Evicted++
}

// farewell drops an entry that is evictable.
func (s *Store) farewell(e *entry, why cause, now time.Duration) {
	s.record(e, e.judgement(), judgedForgotten, why, now)
	s.queue(e).remove(e)
	s.drop(e, now)
}

// stopChecks hides the checks that fell silent before their node said STOPPED.
func (s *Store) stopChecks(n *node, now time.Duration) {
	for _, c := range n.checks {
		if e := c.entry; e.state == silent {
			was := e.standing()
			e.state = stopped
			s.changed(e, was, reported, now)
		}
	}
}

// reviveChecks shows the checks of a node that runs again, as they were, and
// gives them time to report.
func (s *Store) reviveChecks(n *node, now time.Duration) {
	for _, c := range n.checks {
		if e := c.entry; e.state == stopped {
			was := e.standing()
			e.state, e.arrival = live, now
			s.changed(e, was, reported, now)
			s.hurry(e)
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
