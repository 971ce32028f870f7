package store

import "time"

// belief names a node of a service, or without a node all of them.
type belief struct{ service, node string }

// Believe says whether somebody besides a publisher vouches for a node: the registry, or
// the configuration, which names services (an empty node). Longer intervals and ttls are
// believed from such nodes, and when the store is full, others make room for them. It holds
// for nodes that are not known yet too.
func (s *Store) Believe(service, node string, yes bool) {
	s.mu.Lock()
	b := belief{service, node}
	_, was := s.beliefs[b]
	if yes {
		s.beliefs[b] = struct{}{}
	} else {
		delete(s.beliefs, b)
	}
	s.mu.Unlock()
	if was == yes {
		return
	}
	_, at, _ := s.namedBy(b)
	for more := true; more; {
		at, more = s.believeSome(b, at)
	}
}

// namedBy returns the tree in which the nodes that a belief names are neighbours, and
// their bounds.
func (s *Store) namedBy(b belief) (t *tree[*node], from, to bound) {
	if b.node == "" {
		from, to = span(b.service)
		return &s.nodes, from, to
	}
	from, to = span(b.node, b.service)
	return &s.nodesByID, from, to
}

// believeSome updates some of the nodes from a bound on that a belief names, and reports
// whether there are more.
func (s *Store) believeSome(b belief, at bound) (next bound, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, _, to := s.namedBy(b)
	pos, end := t.before(at, allClasses), t.before(to, allClasses)
	stop := min(pos+maxStep, end)
	if pos == stop {
		return at, false
	}
	found := make([]*node, 0, stop-pos)
	t.walk(pos, allClasses, func(n *node) bool {
		found = append(found, n)
		return pos+len(found) < stop
	})
	now := s.clock.now()
	for _, n := range found {
		n.vouched = n.vouched && b.node == "" // now somebody has said
		s.reconsider(n, n.vouched || s.believes(b.service, n.id), n.proven, now)
	}
	last := found[len(found)-1]
	return bound{key: t.keyOf(last), n: 3, after: true}, stop < end
}

// vouched reports whether the node of an event was believed for itself in a former run.
func (s *Store) vouched(ev *Event) bool {
	n := s.lookupNode(ev)
	return n != nil && n.vouched
}

// believes reports whether a node is believed.
func (s *Store) believes(service, node string) bool {
	if node == s.cfg.Own && node != "" {
		return true
	}
	_, byService := s.beliefs[belief{service, ""}]
	_, byNode := s.beliefs[belief{service, node}]
	return byService || byNode
}

// prove notes that a node has reported again. What has reported only once may be invented.
func (s *Store) prove(n *node, now time.Duration) { s.reconsider(n, n.believed, true, now) }

// reconsider changes how far a node is trusted.
func (s *Store) reconsider(n *node, believed, proven bool, now time.Duration) {
	if n.believed == believed && n.proven == proven {
		return
	}
	var was []indexed
	for e := range n.entries {
		was = append(was, e.indexed())
	}
	s.count(n, -1)
	n.believed, n.proven = believed, proven
	s.count(n, 1)
	s.nodeChanged(n)
	s.nodes.change(n, n.class())
	for e := range n.entries {
		s.changed(e, was[0], reported, now)
		was = was[1:]
		if !e.state.evictable() {
			s.reschedule(e)
		}
	}
}

// count adds a node to the counts of its service, or takes it away.
func (s *Store) count(n *node, by int32) {
	sv := n.version.service
	was := sv.class()
	sv.believed += int(by * one(n.believed))
	sv.proven += int(by * one(n.proven))
	if c := sv.class(); c != was {
		s.services.change(sv, c)
	}
}

// entries yields all entries of the node.
func (n *node) entries(yield func(*entry) bool) {
	for _, e := range []*entry{n.status, n.stats} {
		if e != nil && !yield(e) {
			return
		}
	}
	for _, c := range n.checks {
		if !yield(c.entry) {
			return
		}
	}
}

// evictable reports whether the entry may be evicted to make room for any other: it is
// missing or retired, or it is stale and of a node that has reported only once and that
// nobody vouches for.
func (e *entry) evictable() bool {
	return e.state.evictable() || e.state == stale && !e.node.proven && !e.node.believed
}

// Knows reports whether the store holds anything of a node of a service.
func (s *Store) Knows(service, node string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, known := s.nodesByID.find(allClasses, node, service)
	return known
}
