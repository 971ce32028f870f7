package store

import (
	"errors"
	"fmt"
	"math"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/wire"
)

// ReadSnapshot restores what a record of WriteSnapshot holds. All calls are before Run, in
// the order of the records, and before one call of Resume. Restoring is no transition. A
// record that is not whole changes nothing. What is held already, and what the Config has
// no room for, is left out; of the latter the error tells.
func (s *Store) ReadSnapshot(version int, data []byte) error {
	if version != SnapshotVersion {
		return fmt.Errorf("version %d, want %d", version, SnapshotVersion)
	}
	in := recordReader{rest: data}
	switch kind := in.byteUpTo(recordNode); {
	case in.err != nil:
	case kind == recordTransitions:
		return s.readTransitions(&in)
	case kind == recordNode:
		return s.readNode(&in)
	}
	return errors.New("a record of no kind that is known")
}

func (s *Store) readTransitions(in *recordReader) error {
	s.mu.Lock()
	if s.shared == nil {
		s.shared = make(map[string]string)
	}
	share := s.shared
	s.mu.Unlock()
	var records []record
	for in.more() {
		records = append(records, record{})
		records[len(records)-1].read(in, func(b []byte) string {
			text, ok := share[string(b)]
			if !ok {
				text = string(b)
				share[text] = text
			}
			return text
		})
	}
	if in.err != nil {
		return fmt.Errorf("transitions: %w", in.err)
	}
	return s.ring.restore(records)
}

// restored is a node in a record, with entries.
type restored struct {
	Event // of the node
	flags byte
	since int64 // of the version
	items []restoredEntry
}

// restoredEntry is an entry in a record. Its durations are those before the snapshot.
type restoredEntry struct {
	Event
	state            state
	skewed           bool
	status           uint8
	age, silent      time.Duration
	gone             time.Duration // since the entry became evictable
	received, judged uint32        // unix seconds; judged when the status changed
}

func (s *Store) readNode(in *recordReader) error {
	r, err := parseNode(in)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	refused := 0
	for i := range r.items {
		if !s.restore(r, &r.items[i]) {
			refused++
		}
	}
	if refused > 0 {
		return fmt.Errorf("node %q of service %q: no room for %d of %d entries", r.Node, r.Service, refused, len(r.items))
	}
	return nil
}

// parseNode reads a record of a node but its first byte.
func parseNode(in *recordReader) (*restored, error) {
	r := &restored{flags: in.byteUpTo(flagProven | flagVouched | flagOwn), since: in.int()}
	r.Service, r.Version, r.Node, r.Address = in.text(), in.text(), in.text(), in.text()
	if r.Metadata = in.bytes(); !validTexts(r.Metadata, wire.NodeMetadata, none) {
		in.fail("bad metadata")
	}
	for in.more() {
		r.items = append(r.items, readEntry(in, &r.Event))
	}
	if in.err != nil {
		return nil, fmt.Errorf("node %q of service %q: %w", r.Node, r.Service, in.err)
	}
	return r, nil
}

// readEntry reads an entry of a node.
func readEntry(in *recordReader, n *Event) restoredEntry {
	const two = 1<<2 - 1 // bits
	kind, statuses := in.byteUpTo(1<<6-1), in.byteUpTo(1<<6-1)
	e := restoredEntry{Event: *n, state: state(kind >> 2 & 7), skewed: kind>>5 != 0, status: statuses & two}
	e.Kind, e.Status, e.Source = Kind(kind&two), int32(statuses>>2&two), healthpb.HealthCheck_Source(statuses>>4)
	e.Timestamp, e.age = in.int(), in.duration()
	switch {
	case mayBeSilent(e.Kind, e.state):
		e.silent = in.duration()
	case e.state.evictable():
		e.gone = in.duration()
	}
	e.received, e.judged = uint32(in.uint(math.MaxUint32)), uint32(in.uint(math.MaxUint32))
	e.Interval, e.TTL = int64(in.uint(math.MaxInt64)), int64(in.uint(math.MaxInt64))
	if e.Kind == KindCheck {
		e.ID, e.Description = in.text(), in.text()
	}
	if e.Body = in.bytes(); in.err == nil && !e.valid() {
		in.fail("a bad entry")
	}
	return e
}

// valid reports whether there can be such an entry.
func (e *restoredEntry) valid() bool {
	const latest = 1 << 60 // so that sums do not overflow
	stoppedNode := e.Kind == KindStatus && e.Status == int32(healthpb.Status_STOPPED)
	switch {
	case e.Timestamp <= 0 || e.Timestamp > latest:
		return false
	case e.Kind > KindStats, e.state > retired, e.Source > healthpb.HealthCheck_CONSUL:
		return false
	case (e.state == retired) != stoppedNode && (e.state != live || !stoppedNode):
		return false
	case e.state == stopped && e.Kind == KindStatus, e.state == stale && e.Kind == KindStats:
		return false
	case e.Kind == KindStats && e.Status != 0, e.status != 0 && int32(e.status) != e.Status:
		return false
	case stoppedNode && e.status == 0:
		return false
	case (e.state == stale || e.state == missing) && e.status != 0:
		return false
	}
	return validBody(e.Kind, e.Body)
}

// restore adds an entry, and reports whether there is room for it.
func (s *Store) restore(r *restored, x *restoredEntry) bool {
	ev := &x.Event
	if r.flags&flagOwn != 0 && s.cfg.OwnService != "" {
		s.ours(ev)
	}
	now := s.clock.now()
	vouched := r.flags&flagVouched != 0
	if s.lookup(ev) != nil {
		return true
	}
	if !s.makeRoom(ev, vouched, now) {
		s.counters.Refused++
		s.refused.add(ev.Service)
		return false
	}
	e := s.attach(ev)
	n := e.node
	n.vouched = n.vouched || vouched
	s.reconsider(n, n.believed || vouched, n.proven || r.flags&flagProven != 0, now)
	s.fill(e, x)
	s.insert(e)
	s.recount(e, indexed{}, e.indexed(), now)
	n.version.since = r.since
	if v := n.version; e.kind == KindStatus && int64(e.received) >= v.received {
		v.timestamp, v.received = e.timestamp, int64(e.received)
	}
	if e.state.evictable() {
		e.due = ticksUp(max(now+s.cfg.Retention-x.gone, 0))
		s.queue(e).push(e)
		return true
	}
	if e.state == stale || x.silent >= e.staleAfter() {
		s.silent[e] = -x.silent
	}
	s.wheel.put(e, s.dueTick(e))
	return true
}

// fill copies an entry of a record into a new entry. Its arrival is before the start of
// the clock.
func (s *Store) fill(e *entry, x *restoredEntry) {
	s.write(e, &x.Event, -max(x.age, 1))
	e.timestamp, e.skewed = x.Timestamp, x.skewed
	e.state, e.status = x.state, x.status
	e.received, e.since = x.received, x.judged
}
