package store

import (
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// makeRoom reports whether a new key may be stored. It evicts missing entries and then
// nodes that were stopped long ago, but never live or failing entries. So a flood of new
// keys is refused once the caps are reached, while every update of a known key is
// accepted.
func (s *Store) makeRoom(ev *Event, now time.Duration) bool {
	return s.makeRoomForEntry(ev, now) && s.makeRoomForBytes(int64(len(ev.Body)+len(ev.Description)), now)
}

// makeRoomForBytes makes room within the budget of bytes.
func (s *Store) makeRoomForBytes(need int64, now time.Duration) bool {
	for s.bytes+need > s.cfg.MaxBytes {
		if !s.evictFirst(now) {
			return false
		}
	}
	return true
}

// makeRoomForEntry makes room within the caps of nodes, checks and entries. Results of
// monitors are bounded by the number of monitors, so only the cap of all entries applies
// to them.
func (s *Store) makeRoomForEntry(ev *Event, now time.Duration) bool {
	ours := ev.Source == healthpb.HealthCheck_MONITOR
	if s.lookupNode(ev) == nil && !s.makeRoomForNode(ev, now) {
		return false
	}
	service := string(ev.Service)
	if n := s.lookupNode(ev); n != nil && ev.Kind == KindCheck && !ours && string(ev.Node) != s.cfg.Own && len(n.checks) >= s.cfg.MaxChecksPerNode {
		v := n.version
		e, ok := s.checks.find(missingClasses, v.service.name, v.name, n.id)
		if !ok {
			return false
		}
		s.evict(e, now)
	}
	held := s.entries()
	if sv := s.byName.get(ev.Service); sv != nil && !ours && s.overShare(sv.entries, held, s.cfg.MaxEntries) {
		return s.evictFrom(service, now)
	}
	return held < s.cfg.MaxEntries || s.evictFirst(now)
}

// evictFirst evicts the entry that has been missing longest, or else stopped longest.
func (s *Store) evictFirst(now time.Duration) bool {
	for _, q := range []*list{&s.missing, &s.retired} {
		if q.head != nil {
			s.evict(q.head, now)
			return true
		}
	}
	return false
}

func (s *Store) makeRoomForNode(ev *Event, now time.Duration) bool {
	sv := s.byName.get(ev.Service)
	if sv == nil && s.services.count(allClasses) >= s.cfg.MaxServices && !s.evictService(now) {
		return false
	}
	held := s.nodes.count(allClasses)
	if sv != nil && s.overShare(sv.nodes, held, s.cfg.MaxNodes) {
		return s.evictNode(now, sv.name)
	}
	return held < s.cfg.MaxNodes || s.evictNode(now)
}

func (s *Store) entries() int {
	return s.checks.count(allClasses) + s.statuses.count(allClasses) + s.stats.count(allClasses)
}

// overShare reports whether a service has used up its share.
func (s *Store) overShare(has, held, most int) bool {
	return s.cfg.Share < 1 && 2*held >= most && float64(has) >= s.cfg.Share*float64(most)
}

// evictFrom evicts an entry of a service.
func (s *Store) evictFrom(service string, now time.Duration) bool {
	for _, c := range []struct {
		tree *tree[*entry]
		set  classSet
	}{
		{&s.checks, missingClasses},
		{&s.statuses, missingClasses},
		{&s.stats, missingClasses},
		{&s.statuses, 1 << retiredClass},
	} {
		if e, ok := c.tree.find(c.set, service); ok {
			s.evict(e, now)
			return true
		}
	}
	return false
}

// evictNode evicts a node whose entries are all evictable, of a service if one is named.
func (s *Store) evictNode(now time.Duration, service ...string) bool {
	for _, set := range []classSet{missingNodes, retiredNodes} {
		if n, ok := s.nodes.find(set, service...); ok {
			s.evictAll(n, now)
			return true
		}
	}
	return false
}

func (s *Store) evictAll(n *node, now time.Duration) {
	entries := make([]*entry, 0, len(n.checks)+2)
	for _, c := range n.checks {
		entries = append(entries, c.entry)
	}
	for _, e := range append(entries, n.status, n.stats) {
		if e != nil {
			s.evict(e, now)
		}
	}
}

// evictService evicts a service whose entries are all evictable, a large one in several
// calls. It reports whether there is room for another service now.
func (s *Store) evictService(now time.Duration) bool {
	sv, ok := s.services.find(evictableServices)
	if !ok {
		return false
	}
	for left := maxStep; left > 0 && sv.entries > 0; {
		n, _ := s.nodes.find(allClasses, sv.name)
		left -= len(n.checks) + 2
		s.evictAll(n, now)
	}
	return sv.entries == 0
}
