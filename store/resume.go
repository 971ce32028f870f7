package store

import (
	"cmp"
	"slices"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// Resume ends restoring, before Run. down is how long nothing was received: from the
// snapshot to New. It counts for the ages of what was restored and for how long it is
// retained, but not as silence: what was fresh is given an interval and a grace from now
// on, what was stale or missing stays so. The nodes that this instance was before are
// stopped.
func (s *Store) Resume(down time.Duration) {
	s.mu.Lock()
	now := s.clock.now()
	s.resumed, s.shared = now, nil
	s.clock.readWall(now)
	for e := range s.silent {
		s.silent[e] += now
	}
	for e := range s.restored {
		e.arrival -= max(down, 0)
		switch {
		case e.state.evictable():
			e.due -= min(e.due, ticks(max(down, 0)))
		case e.reportsStopped() && now-e.arrival >= e.missingAfter():
			s.retire(e, now)
		default:
			s.reschedule(e)
		}
	}
	for _, q := range []*list{&s.missing, &s.retired} {
		q.sort()
	}
	former := s.former
	s.former = nil
	clear(s.changedNodes)
	s.mu.Unlock()
	for k := range former {
		s.stopFormer(k)
	}
}

// restored yields all entries of former runs.
func (s *Store) restored(yield func(*entry) bool) {
	nodes := make([]*node, 0, s.nodes.count(allClasses))
	s.nodes.walk(0, allClasses, func(n *node) bool {
		nodes = append(nodes, n)
		return true
	})
	for _, n := range nodes {
		for e := range n.entries {
			if e.arrival < 0 && !yield(e) {
				return
			}
		}
	}
}

// retire makes the status of a node that was stopped more than its ttl ago evictable, as
// if it had been judged in time.
func (s *Store) retire(e *entry, now time.Duration) {
	was := e.indexed()
	s.wheel.remove(e)
	e.state = retired
	s.changed(e, was, reported, now)
	e.due = ticksUp(e.arrival + e.missingAfter() + s.cfg.Retention)
	s.retired.push(e)
}

// sort puts the entries in the order in which they are due.
func (l *list) sort() {
	var all []*entry
	for e := l.head; e != nil; e = e.next {
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b *entry) int { return cmp.Compare(a.due, b.due) })
	*l = list{}
	for _, e := range all {
		l.push(e)
	}
}

// ours makes an event about this instance in a former run one about it in this run, if it
// is the result of a monitor. Other events of a former node of it tell that it is one.
func (s *Store) ours(ev *Event) {
	if string(ev.Node) == s.cfg.Own && string(ev.Version) == s.cfg.OwnVersion {
		return
	}
	if ev.Source != healthpb.HealthCheck_MONITOR {
		if s.former == nil {
			s.former = make(map[key]struct{})
		}
		s.former[key{string(ev.Service), string(ev.Version), string(ev.Node)}] = struct{}{}
		return
	}
	ev.Service, ev.Version, ev.Node = []byte(s.cfg.OwnService), []byte(s.cfg.OwnVersion), []byte(s.cfg.Own)
	ev.Address, ev.Metadata = nil, nil
}

// stopFormer stops a node that this instance was, unless it said so itself.
func (s *Store) stopFormer(k key) {
	ev := Event{
		Kind: KindStatus, Status: int32(healthpb.Status_STOPPED),
		Service: []byte(k[0]), Version: []byte(k[1]), Node: []byte(k[2]),
	}
	s.mu.RLock()
	e := s.lookup(&ev)
	running := e != nil && !e.reportsStopped()
	s.mu.RUnlock()
	if running {
		s.Put(&ev)
	}
}
