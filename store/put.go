package store

import (
	"math"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// maxSkew bounds how far a timestamp may be off our clock, in seconds.
const maxSkew = 300

// order returns the timestamp that orders an event, and whether it differs much from
// our clock.
func order(published, unix int64) (timestamp int64, skewed bool) {
	switch {
	case published <= 0:
		return max(unix, 1), false
	case published-maxSkew > unix:
		return max(unix, 1), true
	}
	return published, published < unix-maxSkew
}

// orderAfter is order for an event with a known key. An event without a timestamp is the
// newest, also after our clock was set back. The entry was not ahead of our clock when it
// arrived. If it is now, our clock was set back and cannot bound timestamps; the time
// since the arrival bounds them instead.
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

// mark is an event that was older than its entry.
type mark struct {
	timestamp int64
	arrival   time.Duration
}

// minTolerance allows for timestamps being whole seconds.
const minTolerance = 2 * time.Second

// steppedBack reports whether the publisher's clock was set back, given an event that is
// older than the entry.
//
// It was, if for half an interval only older events arrived, each ahead of the first by
// the time that passed. Delayed, repeated or reordered events arrive differently: faster
// than they were published, out of order, or mixed with new ones. The mark is the first
// event of such a series. An event that does not fit begins a new series. There is at
// most one mark for each entry.
func (s *Store) steppedBack(e *entry, timestamp int64, now time.Duration) bool {
	half := e.interval() / 2
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

// outdated reports whether an event is older than the entry of its key.
func (s *Store) outdated(e *entry, ev *Event, timestamp int64, now time.Duration) bool {
	if timestamp == e.timestamp {
		// Of two statuses of one second, STOPPED is the later one.
		return ev.Timestamp > 0 && e.reportsStopped() && ev.Status != int32(healthpb.Status_STOPPED)
	}
	return timestamp < e.timestamp && !s.overtaken(e, ev, now) && !s.steppedBack(e, timestamp, now)
}

// overtaken reports whether an entry from ahead of our clock has had its time: the next
// event that arrives later by more than an interval replaces it. So a forged timestamp
// hides the real reports for no longer than that, whatever interval it was sent with.
func (s *Store) overtaken(e *entry, ev *Event, now time.Duration) bool {
	ahead := e.timestamp - int64(e.received)
	if ahead <= int64(minTolerance/time.Second) || e.received == math.MaxUint32 {
		return false
	}
	every := time.Duration(clampSeconds(ev.Interval, defaultInterval, believableInterval)) * time.Second
	return now-e.arrival > min(every, e.interval())
}

// Put stores one event. It retains nothing that ev points to.
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
	if s.outdated(e, ev, timestamp, now) {
		s.counters.Outdated++
		return Outdated
	}
	s.unmark(e)
	if !e.node.proven && now-e.arrival >= minTolerance {
		s.prove(e.node, now)
	}
	was, queued := e.indexed(), e.state.evictable()
	if queued {
		s.queue(e).remove(e)
	}
	e.timestamp, e.skewed = timestamp, skewed
	s.write(e, ev, now)
	s.changed(e, was, reported, now)
	if queued {
		s.wheel.put(e, s.dueTick(e))
	} else {
		s.reschedule(e)
	}
	s.accepted(e, was, now)
	return Accepted
}

// putNew stores the first event of its key.
func (s *Store) putNew(ev *Event, now time.Duration) Outcome {
	if !s.makeRoom(ev, s.vouched(ev), now) {
		s.counters.Refused++
		s.refused.add(ev.Service)
		return Refused
	}
	e := s.attach(ev)
	e.timestamp, e.skewed = order(ev.Timestamp, s.clock.unix(now))
	s.write(e, ev, now)
	s.addToIndexes(e, now)
	s.wheel.put(e, s.dueTick(e))
	s.accepted(e, indexed{}, now)
	return Accepted
}

// unmark ends what is known of an entry only until its next event.
func (s *Store) unmark(e *entry) {
	if len(s.marks) > 0 {
		delete(s.marks, e)
	}
	if len(s.silent) > 0 {
		delete(s.silent, e)
	}
}

// write copies an event into its entry, which is live then. It reuses unchanged strings,
// so that most events cost no memory.
func (s *Store) write(e *entry, ev *Event, now time.Duration) {
	e.arrival, e.received = now, stamp(s.clock.unix(now))
	e.claimedInterval = packInterval(clampSeconds(ev.Interval, defaultInterval, maxInterval))
	e.claimedTTL = uint32(clampSeconds(ev.TTL, defaultTTL, maxTTL))
	e.state, e.status, e.reported, e.source = live, 0, 0, 0
	if ev.Kind != KindStats && 0 < ev.Status && ev.Status <= maxStatus {
		e.status, e.reported = uint8(ev.Status), uint8(ev.Status)
	}
	if 0 < ev.Source && ev.Source <= healthpb.HealthCheck_CONSUL {
		e.source = uint8(ev.Source)
	}
	s.writeText(e, ev)
	n := e.node
	if ev.Timestamp > 0 && e.fromBeforeTheStop() {
		e.state = stopped
	}
	if len(ev.Address) > 0 && n.address != string(ev.Address) {
		n.address = string(ev.Address)
	}
	if len(ev.Metadata) > 0 && n.metadata != string(ev.Metadata) {
		n.metadata = string(ev.Metadata)
	}
}

// writeText copies body and description. Updates are always accepted, but without their
// results if they would exceed the budget of bytes.
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

// accepted counts an accepted event, and stops or revives checks if it is a status.
func (s *Store) accepted(e *entry, was indexed, now time.Duration) {
	s.counters.Accepted++
	if e.skewed {
		s.counters.Skewed++
	}
	if e.kind != KindStatus {
		return
	}
	v := e.node.version
	v.timestamp, v.received = e.timestamp, int64(e.received)
	switch wasStopped := was.status == uint8(healthpb.Status_STOPPED); {
	case e.reportsStopped():
		s.stopReports(e.node, now)
		if !wasStopped {
			s.nodeChanged(e.node)
		}
	case wasStopped:
		s.reviveReports(e.node, now)
		s.nodeChanged(e.node)
	}
}
