package store

import (
	"cmp"
	"slices"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// indexed is what the indexes know of an entry. The zero value is that of an entry that
// is not in the store.
type indexed struct {
	held, listed, pinned bool
	class                class
	status               uint8
	judged               judgement
}

func (e *entry) indexed() indexed {
	c := e.class()
	return indexed{
		held: true, listed: c < hiddenBit, pinned: !e.evictable(),
		class: c, status: e.status, judged: e.judgement(),
	}
}

func (e *entry) judgement() judgement {
	if e.state == missing {
		return judgedMissing
	}
	return judgement(e.status)
}

// changed updates the indexes and records a transition after an entry has changed.
func (s *Store) changed(e *entry, was indexed, why cause, now time.Duration) {
	is := e.indexed()
	if is == was {
		return
	}
	if is.class != was.class {
		for _, t := range s.of(e.kind) {
			t.change(e, is.class)
		}
	}
	if is.class != was.class || is.pinned != was.pinned {
		s.recount(e, was, is, now)
	}
	if is.status != was.status {
		e.since = stamp(s.clock.unix(now))
	}
	if is.judged != was.judged {
		s.record(e, was.judged, is.judged, why, now)
	}
}

// addToIndexes adds an entry to the indexes.
func (s *Store) addToIndexes(e *entry, now time.Duration) {
	is := e.indexed()
	s.insert(e)
	s.recount(e, indexed{}, is, now)
	e.since = stamp(s.clock.unix(now))
	s.record(e, judgement(healthpb.HealthCheck_UNKNOWN), is.judged, firstReport, now)
}

// insert adds an entry to the trees of its kind.
func (x *index) insert(e *entry) {
	for _, t := range x.of(e.kind) {
		t.insert(e, e.class())
	}
}

// removeFromIndexes removes an entry that is in no list, and its node, version and
// service if it was the last.
func (s *Store) removeFromIndexes(e *entry, now time.Duration) {
	n := e.node
	for _, t := range s.of(e.kind) {
		t.remove(e)
	}
	switch e.kind {
	case KindCheck:
		i, _ := n.find(e.id)
		n.checks = slices.Delete(n.checks, i, i+1)
	case KindStatus:
		n.status = nil
	case KindStats:
		n.stats = nil
	}
	s.recount(e, e.indexed(), indexed{}, now)
	s.bytes -= e.size()
	s.texts.release(e.id)
	s.texts.release(e.description)
	s.unmark(e)
	if len(n.checks) == 0 && n.status == nil && n.stats == nil {
		s.dropNode(n)
	}
}

// recount updates the counts of node, version and service after a change of an entry.
func (s *Store) recount(e *entry, was, is indexed, now time.Duration) {
	n := e.node
	v := n.version
	sv := v.service
	nodeWas, versionWas, serviceWas, listed := n.class(), v.class(), sv.class(), n.listed > 0
	n.listed += one(is.listed) - one(was.listed)
	n.pinned += one(is.pinned) - one(was.pinned)
	sv.pinned += int(one(is.pinned) - one(was.pinned))
	sv.entries += int(one(is.held) - one(was.held))
	v.listed += int(one(n.listed > 0) - one(listed))
	if e.kind == KindStatus {
		v.recountStatus(was, is, s.clock.unix(now))
	}
	if c := n.class(); c != nodeWas {
		s.nodes.change(n, c)
	}
	if c := v.class(); c != versionWas {
		s.versions.change(v, c)
	}
	if c := sv.class(); c != serviceWas {
		s.services.change(sv, c)
	}
}

func one(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

// recountStatus counts the status of a node.
func (v *version) recountStatus(was, is indexed, unix int64) {
	before := worst(v.counts)
	v.count(was, -1)
	v.count(is, 1)
	if v.since == 0 || worst(v.counts) != before {
		v.since = unix
	}
}

func (v *version) count(x indexed, n int) {
	switch {
	case x.listed:
		v.counts[x.status] += n
	case x.held:
		v.missing += n
	}
}

// find returns the place of the check with the id. Nodes of a service usually run the
// same checks, so it first looks where it found the id last: a search touches half a
// dozen cache lines.
func (n *node) find(id *text) (i int, found bool) {
	if i := id.place; i < len(n.checks) && n.checks[i].number == id.number {
		return i, true
	}
	i, found = slices.BinarySearchFunc(n.checks, id.number, func(c slot, number uint64) int {
		return cmp.Compare(c.number, number)
	})
	id.place = i
	return i, found
}

// lookup returns the entry with the key of an event, or nil.
func (s *Store) lookup(ev *Event) *entry {
	n := s.lookupNode(ev)
	if n == nil {
		return nil
	}
	switch ev.Kind {
	case KindStatus:
		return n.status
	case KindStats:
		return n.stats
	}
	if id := s.texts.table.get(ev.ID); id != nil {
		if i, ok := n.find(id); ok {
			return n.checks[i].entry
		}
	}
	return nil
}

func (s *Store) lookupNode(ev *Event) *node {
	sv := s.byName.get(ev.Service)
	if sv == nil {
		return nil
	}
	v := sv.versions.get(ev.Version)
	if v == nil {
		return nil
	}
	return v.nodes.get(ev.Node)
}

// attach makes an entry for a new key, and its node, version and service.
func (s *Store) attach(ev *Event) *entry {
	e := &entry{node: s.node(ev), kind: ev.Kind}
	switch n := e.node; ev.Kind {
	case KindStatus:
		n.status = e
	case KindStats:
		n.stats = e
	default:
		e.id = s.texts.use(ev.ID)
		i, _ := n.find(e.id)
		n.checks = insert(n.checks, i, slot{e.id.number, e})
	}
	return e
}

// insert inserts a slot. It grows the slice by an eighth: doubling would cost as much as
// half an entry.
func insert(slots []slot, i int, c slot) []slot {
	if n := len(slots); n == cap(slots) {
		grown := make([]slot, n, n+n/8+1)
		copy(grown, slots)
		slots = grown
	}
	return slices.Insert(slots, i, c)
}

// node returns the node of an event, which it makes if necessary.
func (s *Store) node(ev *Event) *node {
	sv := s.byName.get(ev.Service)
	if sv == nil {
		sv = &service{name: string(ev.Service)}
		s.byName.set(sv.name, sv)
		s.services.insert(sv, sv.class())
	}
	v := sv.versions.get(ev.Version)
	if v == nil {
		v = &version{service: sv, name: string(ev.Version)}
		sv.versions.set(v.name, v)
		s.versions.insert(v, v.class())
	}
	n := v.nodes.get(ev.Node)
	if n == nil {
		n = &node{version: v, id: string(ev.Node)}
		n.believed = s.believes(sv.name, n.id)
		v.nodes.set(n.id, n)
		sv.nodes++
		s.count(n, 1)
		s.nodeChanged(n)
		s.nodes.insert(n, n.class())
		s.nodesByID.insert(n, 0)
		if n.conflict = s.markConflicts(n.id); n.conflict {
			s.counters.Conflicts++
		}
	}
	return n
}

// markConflicts reports whether several nodes have the id. It marks the first two of
// them as in conflict, or the only one as not in conflict. Later ones were marked when
// they were made.
func (s *Store) markConflicts(id string) bool {
	from, to := span(id)
	pos := s.nodesByID.before(from, allClasses)
	several := s.nodesByID.before(to, allClasses)-pos > 1
	left := 2
	s.nodesByID.walk(pos, allClasses, func(n *node) bool {
		if n.id == id {
			n.conflict = several
		}
		left--
		return left > 0
	})
	return several
}

// dropNode removes a node without entries, and its version and service if it was the
// last.
func (s *Store) dropNode(n *node) {
	v := n.version
	sv := v.service
	s.nodes.remove(n)
	s.nodesByID.remove(n)
	s.markConflicts(n.id)
	v.nodes.delete(n.id)
	sv.nodes--
	s.nodeChanged(n)
	s.count(n, -1)
	if len(v.nodes.m) > 0 {
		return
	}
	s.versions.remove(v)
	sv.versions.delete(v.name)
	if len(sv.versions.m) > 0 {
		return
	}
	s.services.remove(sv)
	s.byName.delete(sv.name)
}
