package store

import (
	"slices"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// makeRoom reports whether a new key may be stored. It evicts missing entries, then nodes
// that were stopped long ago, then those that reported only once and are stale, but
// never other live or failing entries. So a flood of new keys is refused once the caps are
// reached, while every update of a known key is accepted.
//
// For a node that is believed, all others make room: first those that have reported only
// once. So no flood shuts it out.
func (s *Store) makeRoom(ev *Event, vouched bool, now time.Duration) bool {
	r := room{
		s: s, now: now, service: string(ev.Service),
		ours: ev.Source == healthpb.HealthCheck_MONITOR,
	}
	r.believed = r.ours || vouched || s.believes(r.service, string(ev.Node))
	return r.forEntry(ev) && r.forBytes(int64(len(ev.Body)+len(ev.Description)))
}

// room makes room for one event.
type room struct {
	s              *Store
	now            time.Duration
	service        string
	ours, believed bool
}

// forBytes makes room within the budget of bytes.
func (r *room) forBytes(need int64) bool {
	for r.s.bytes+need > r.s.cfg.MaxBytes {
		if !r.evictFirst() {
			return false
		}
	}
	return true
}

// forEntry makes room within the caps of nodes, checks and entries. Results of monitors
// are bounded by the number of monitors, so only the cap of all entries applies to them.
func (r *room) forEntry(ev *Event) bool {
	s := r.s
	if s.lookupNode(ev) == nil && !r.forNode(ev) {
		return false
	}
	if n := s.lookupNode(ev); n != nil && ev.Kind == KindCheck && !r.ours && string(ev.Node) != s.cfg.Own && len(n.checks) >= s.cfg.MaxChecksPerNode {
		v := n.version
		e, ok := s.checks.find(missingClasses, v.service.name, v.name, n.id)
		if !ok {
			return false
		}
		s.evict(e, r.now)
	}
	held := s.entries()
	if sv := s.byName.get(ev.Service); sv != nil && !r.ours && s.overShare(sv.entries, held, s.cfg.MaxEntries) {
		return r.evictFrom(r.service) || r.evictNode(r.service)
	}
	return held < s.cfg.MaxEntries || r.evictFirst()
}

func (r *room) forNode(ev *Event) bool {
	s := r.s
	sv := s.byName.get(ev.Service)
	if sv == nil && s.services.count(allClasses) >= s.cfg.MaxServices && !r.evictService() {
		return false
	}
	held := s.nodes.count(allClasses)
	if sv != nil && s.overShare(sv.nodes, held, s.cfg.MaxNodes) {
		return r.evictNode(sv.name)
	}
	return held < s.cfg.MaxNodes || r.evictNode()
}

func (s *Store) entries() int {
	return s.checks.count(allClasses) + s.statuses.count(allClasses) + s.stats.count(allClasses)
}

// overShare reports whether a service has used up its share.
func (s *Store) overShare(has, held, most int) bool {
	return s.cfg.Share < 1 && 2*held >= most && float64(has) >= s.cfg.Share*float64(most)
}

// evictFirst evicts the entry that has been missing longest, or else stopped longest, or
// else a node.
func (r *room) evictFirst() bool {
	for _, q := range []*list{&r.s.missing, &r.s.retired} {
		if q.head != nil {
			r.s.evict(q.head, r.now)
			return true
		}
	}
	return r.evictNode()
}

// evictFrom evicts an entry of a service.
func (r *room) evictFrom(service string) bool {
	s := r.s
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
			s.evict(e, r.now)
			return true
		}
	}
	return false
}

// evictNode evicts a node whose entries are all evictable, or for one that is believed any
// that is not; of a service if one is named.
func (r *room) evictNode(service ...string) bool {
	sets := []classSet{missingNodes, retiredNodes, unproven, unbelieved}
	if !r.believed {
		sets = sets[:2]
	}
	for _, set := range sets {
		if n, ok := r.s.nodes.find(set, service...); ok {
			r.s.evictAll(n, r.now)
			return true
		}
	}
	return false
}

func (s *Store) evictAll(n *node, now time.Duration) {
	for _, e := range slices.Collect(n.entries) {
		s.evict(e, now)
	}
}

// evictService evicts a service whose entries are all evictable, or for a believed node any
// without such nodes; a large one in several calls. It reports whether there is room for
// another service now.
func (r *room) evictService() bool {
	sets := []classSet{evictableServices, unproven, unbelieved}
	if !r.believed {
		sets = sets[:1]
	}
	for _, set := range sets {
		sv, ok := r.s.services.find(set)
		if !ok {
			continue
		}
		for left := maxStep; left > 0 && sv.entries > 0; {
			n, _ := r.s.nodes.find(allClasses, sv.name)
			left -= len(n.checks) + 2
			r.s.evictAll(n, r.now)
		}
		return sv.entries == 0
	}
	return false
}
