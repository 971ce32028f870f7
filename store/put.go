package store

import (
	"math"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// Bounds of what a publisher says about time, in seconds. The publishers of 2016
// to 2018 always sent a ttl of 3600.
const (
	defaultInterval = 60
	maxInterval     = 3600
	defaultTTL      = 3600
	maxTTL          = 24 * 3600
	maxSkew         = 300

	// A monitor's may be longer: files allow a day, of which an entry can hold 18
	// hours. With the grace that is 27 hours until silence, and two days until it is
	// missing, which is enough.
	maxOwnInterval = math.MaxUint16
	maxOwnTTL      = 2 * maxTTL
)

// clampSeconds clamps a duration that was published.
func clampSeconds(published, ifUnset, most int64) int64 {
	if published <= 0 {
		return ifUnset
	}
	return min(published, most)
}

// order returns the timestamp that an event is ordered by, and whether it was
// far off our clock.
func order(published, unix int64) (timestamp int64, skewed bool) {
	switch {
	case published <= 0:
		return max(unix, 1), false
	case published-maxSkew > unix:
		return max(unix, 1), true
	}
	return published, published < unix-maxSkew
}

// orderAfter is order for an event of a key that is held. One that says nothing of
// when it was made is the newest, also after our clock was set back. What is held
// was not ahead of our clock when it came; if it is now, our clock was set back and
// does not bound timestamps any more. Then the time that passed since does.
func (s *Store) orderAfter(e *entry, published int64, now time.Duration) (timestamp int64, skewed bool) {
	unix := s.clock.unix(now)
	timestamp, skewed = order(published, unix)
	switch {
	case published <= 0:
		return max(timestamp, e.timestamp), skewed
	case e.timestamp <= unix+maxSkew:
		return timestamp, skewed
	}
	return min(published, e.timestamp+int64((now-e.arrival)/time.Second)+maxSkew), skewed
}

// mark is an event that was older than what is held.
type mark struct {
	timestamp int64
	arrival   time.Duration
}

// minTolerance allows for timestamps being whole seconds.
const minTolerance = 2 * time.Second

// steppedBack tells whether the publisher of an entry has a clock that was set
// back, given an event that is older than the entry.
//
// It has, if for half an interval all that came were older events, each ahead of
// the first by as much as time went on. Events that were held up, repeated or
// shuffled on their way do not come like that: they come faster than they were
// made, out of order, or mixed with new ones. The mark is the first event of such
// a row; every event that does not fit begins a new row. There is at most one for
// each entry held.
func (s *Store) steppedBack(e *entry, timestamp int64, now time.Duration) bool {
	half := time.Duration(e.interval) * time.Second / 2
	m, marked := s.marks[e]
	passed := now - m.arrival
	ahead := float64(timestamp - m.timestamp)
	astray := math.Abs(ahead - passed.Seconds())
	if !marked || ahead <= 0 || astray > max(half, minTolerance).Seconds() {
		s.marks[e] = mark{timestamp, now}
		return false
	}
	return passed >= half
}

// Put takes one event. It keeps nothing of what ev points to.
func (s *Store) Put(ev *Event) Outcome {
	if ev.Kind > KindStats {
		return Refused
	}
	s.advance()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.now()
	e := s.lookup(ev)
	if e == nil {
		return s.putNew(ev, now)
	}
	timestamp, skewed := s.orderAfter(e, ev.Timestamp, now)
	if timestamp < e.timestamp && !s.steppedBack(e, timestamp, now) {
		s.counters.Stale++
		return Stale
	}
	if len(s.marks) > 0 {
		delete(s.marks, e)
	}
	was, queued := e.standing(), e.state.evictable()
	if queued {
		s.queue(e).remove(e)
	}
	e.timestamp, e.skewed = timestamp, skewed
	s.write(e, ev, now)
	s.changed(e, was, reported, now)
	if queued {
		s.wheel.put(e, ticksUp(e.arrival+e.staysFor()))
	} else {
		s.hurry(e)
	}
	s.accepted(e, was, now)
	return Accepted
}

// putNew takes the first event of its key.
func (s *Store) putNew(ev *Event, now time.Duration) Outcome {
	if !s.makeRoom(ev, now) {
		s.counters.Refused++
		s.refused.add(ev.Service)
		return Refused
	}
	e := s.attach(ev)
	e.timestamp, e.skewed = order(ev.Timestamp, s.clock.unix(now))
	s.write(e, ev, now)
	s.hold(e, now)
	s.wheel.put(e, ticksUp(e.arrival+e.staysFor()))
	s.accepted(e, standing{}, now)
	return Accepted
}

// write copies an event into its entry, which is live then. What is the same as
// before is kept, which spares most events any memory.
func (s *Store) write(e *entry, ev *Event, now time.Duration) {
	e.arrival, e.received = now, stamp(s.clock.unix(now))
	intervals, ttls := int64(maxInterval), int64(maxTTL)
	if ev.Source == healthpb.HealthCheck_MONITOR {
		intervals, ttls = maxOwnInterval, maxOwnTTL
	}
	e.interval = uint16(clampSeconds(ev.Interval, defaultInterval, intervals))
	e.ttl = uint32(clampSeconds(ev.TTL, defaultTTL, ttls))
	e.state, e.status, e.reported, e.source = live, 0, 0, 0
	if ev.Kind != KindStats && 0 < ev.Status && ev.Status <= maxStatus {
		e.status, e.reported = uint8(ev.Status), uint8(ev.Status)
	}
	if 0 < ev.Source && ev.Source <= healthpb.HealthCheck_CONSUL {
		e.source = uint8(ev.Source)
	}
	s.writeText(e, ev)
	n := e.node
	if len(ev.Address) > 0 && n.address != string(ev.Address) {
		n.address = string(ev.Address)
	}
	if len(ev.Metadata) > 0 && n.metadata != string(ev.Metadata) {
		n.metadata = string(ev.Metadata)
	}
}

// writeText copies the body and the description. An update is always taken, but
// one that grows beyond the budget of bytes leaves its results out.
func (s *Store) writeText(e *entry, ev *Event) {
	s.bytes -= e.size()
	body, description := ev.Body, ev.Description
	if grown := int64(len(body) + len(description)); grown > e.size() && s.bytes+grown > s.cfg.MaxBytes {
		body, description = briefBody(ev), nil
		s.counters.Trimmed++
	}
	if e.body != string(body) {
		e.body = string(body)
	}
	if ev.Kind == KindCheck && (e.description == nil || e.description.value != string(description)) {
		s.texts.release(e.description)
		e.description = s.texts.use(description)
	}
	s.bytes += e.size()
}

// maxStatus is the largest status that a check or a node can have.
const maxStatus = 3

// accepted does what follows from an event that was taken.
func (s *Store) accepted(e *entry, was standing, now time.Duration) {
	s.counters.Accepted++
	if e.skewed {
		s.counters.Skewed++
	}
	if e.kind != KindStatus {
		return
	}
	v := e.node.version
	v.timestamp, v.received = e.timestamp, int64(e.received)
	if e.saysStopped() {
		s.stopChecks(e.node, now)
	} else if was.status == uint8(healthpb.Status_STOPPED) {
		s.reviveChecks(e.node, now)
	}
}
