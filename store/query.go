package store

import (
	"fmt"
	"time"
)

// known returns an error if a name that is not empty is unknown. The caller holds the
// lock.
func (s *Store) known(service, node, id string) error {
	if service != "" && s.byName.m[service] == nil {
		return fmt.Errorf("service %q: %w", service, ErrNotFound)
	}
	if node != "" {
		if _, ok := s.nodesByID.find(allClasses, node); !ok {
			return fmt.Errorf("node %q: %w", node, ErrNotFound)
		}
	}
	if id != "" {
		if _, ok := s.checksByID.find(allClasses, id); !ok {
			return fmt.Errorf("health check %q: %w", id, ErrNotFound)
		}
	}
	return nil
}

// unlessEmpty returns the words before the first empty one.
func unlessEmpty(words ...string) []string {
	for i, word := range words {
		if word == "" {
			return words[:i]
		}
	}
	return words
}

// Checks returns the checks that q selects. The error wraps ErrNotFound if q names an
// unknown service, node or id, and ErrBadCursor if the cursor is not of such a query.
func (s *Store) Checks(q Query) (Page[Check], error) { return s.AppendChecks(nil, q) }

// AppendChecks is Checks, but appends the items to a slice. Reusing the slice saves 200
// bytes of garbage per item.
func (s *Store) AppendChecks(items []Check, q Query) (Page[Check], error) {
	c := cutter[*entry, Check]{
		tree: &s.checks, set: checkClasses(&q), listing: listChecks, fill: (*entry).fillCheck, items: items,
	}
	if q.ID != "" && q.Node == "" {
		c.tree, c.listing = &s.checksByID, listChecksByID
		return c.read(s, &q, nil, unlessEmpty(q.ID, q.Service)...)
	}
	ofNode := func(n *node) []string {
		words := []string{n.version.service.name, n.version.name, n.id, q.ID}
		if q.ID == "" {
			words = words[:3]
		}
		return words
	}
	return c.read(s, &q, ofNode, unlessEmpty(q.Service)...)
}

// Nodes returns the status of each node that published one. Service, Node, NodeStatuses and
// Missing select. Errors are those of Checks.
func (s *Store) Nodes(q Query) (Page[NodeStatus], error) {
	c := cutter[*entry, NodeStatus]{
		tree: &s.statuses, set: nodeClasses(&q), listing: listNodes,
		fill: func(e *entry, out *NodeStatus, _ time.Duration) { e.fillNodeStatus(out) },
	}
	return readNodes(s, &c, &q)
}

// Stats returns the newest stats of each node. Service, Node and Missing select. Errors
// are those of Checks.
func (s *Store) Stats(q Query) (Page[NodeStats], error) {
	c := cutter[*entry, NodeStats]{
		tree: &s.stats, set: listClasses(&q), listing: listStats,
		fill: func(e *entry, out *NodeStats, now time.Duration) {
			e.fillNodeStats(out, now)
			out.Stale = e.state == missing || now-s.heard(e) >= e.staleAfter()
		},
	}
	return readNodes(s, &c, &q)
}

func readNodes[T any](s *Store, c *cutter[*entry, T], q *Query) (Page[T], error) {
	q.ID = ""
	ofNode := func(n *node) []string {
		return []string{n.version.service.name, n.version.name, n.id}
	}
	return c.read(s, q, ofNode, unlessEmpty(q.Service)...)
}

// Summary returns one row for each version with a known status of a node; of one node
// only, if q names one. Service, Node and Missing select. Errors are those of Checks.
func (s *Store) Summary(q Query) (Page[NodeStatus], error) {
	q.ID = ""
	c := cutter[*version, NodeStatus]{
		tree: &s.versions, set: versionsWithStates, listing: listVersions,
		fill: func(v *version, out *NodeStatus, _ time.Duration) { v.fillSummary(out, &q) },
	}
	if q.Missing {
		c.set = versionsWithAnyState
	}
	ofNode := func(n *node) []string {
		if n.status == nil || n.status.state == missing && !q.Missing {
			return nil
		}
		return []string{n.version.service.name, n.version.name}
	}
	return c.read(s, &q, ofNode, unlessEmpty(q.Service)...)
}

// Services returns the known versions, each with its nodes; with one node only, if q
// names one. Service, Node and Missing select. Errors are those of Checks.
func (s *Store) Services(q Query) (Page[Version], error) {
	q.ID = ""
	c := cutter[*version, Version]{
		tree: &s.versions, set: listClasses(&q), listing: listVersions,
		fill: func(v *version, out *Version, _ time.Duration) {
			*out = Version{Service: v.service.name, Version: v.name}
		},
	}
	ofNode := func(n *node) []string {
		if !listClasses(&q).has(n.class()) {
			return nil
		}
		return []string{n.version.service.name, n.version.name}
	}
	p, err := c.read(s, &q, ofNode, unlessEmpty(q.Service)...)
	for i := range p.Items {
		s.fillNodes(&p.Items[i], &q)
	}
	return p, err
}

// fillNodes lists the nodes of a version that q selects. It releases the lock from time
// to time.
func (s *Store) fillNodes(v *Version, q *Query) {
	at, to := span(v.Service, v.Version)
	if q.Node != "" {
		at, to = span(v.Service, v.Version, q.Node)
	}
	for more := true; more; {
		s.mu.RLock()
		pos := s.nodes.before(at, listClasses(q))
		end := s.nodes.before(to, listClasses(q))
		stop := min(pos+MaxLimit, end)
		if more = pos < end; more {
			s.nodes.walk(pos, listClasses(q), func(n *node) bool {
				v.Nodes = append(v.Nodes, Node{
					ID: n.id, Address: n.address, Conflict: n.conflict, metadata: n.metadata,
				})
				at = bound{key: n.key(), n: 3, after: true}
				pos++
				return pos < stop
			})
		}
		s.mu.RUnlock()
	}
}
