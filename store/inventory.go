package store

import (
	"errors"
	"fmt"
	"strings"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// NodeChange is a node that has become known, was stopped on purpose, runs again or was
// forgotten.
type NodeChange struct {
	// Key is the identity of the node.
	Key string
	// Record is for ExpectNode, empty for a node that was forgotten.
	Record []byte
}

// maxNodeChanges bounds how many changes one call returns.
const maxNodeChanges = 512

// NodeChanges returns some of the changes since the last call, or none, if
// Config.Inventory is set. A node becomes known when it is believed or reports again: what
// has reported only once may be invented.
func (s *Store) NodeChanges() (changes []NodeChange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := snapshotWriter{store: s, now: s.clock.now(), brief: true}
	for k := range s.changedNodes {
		if len(changes) == maxNodeChanges {
			break
		}
		delete(s.changedNodes, k)
		w.buf = nil
		if n := s.lookupNode(k.event()); n != nil {
			w.header(n)
			w.writeEntry(n.witness())
		}
		changes = append(changes, NodeChange{strings.Join(k[:3], "\x00"), w.buf})
	}
	return changes
}

// RepeatNodeChanges makes NodeChanges return changes again, which were not written.
func (s *Store) RepeatNodeChanges(changes []NodeChange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		var k key
		copy(k[:3], strings.SplitN(c.Key, "\x00", 3))
		s.changedNodes[k] = struct{}{}
	}
}

// nodeChanged notes a change of a node, but not of our own. Those beyond the cap of nodes are left to the next
// snapshot.
func (s *Store) nodeChanged(n *node) {
	if s.cfg.Inventory && n.id != s.cfg.Own && (n.proven || n.believed) && len(s.changedNodes) < 2*s.cfg.MaxNodes {
		s.changedNodes[n.key()] = struct{}{}
	}
}

func (k key) event() *Event {
	return &Event{Service: []byte(k[0]), Version: []byte(k[1]), Node: []byte(k[2])}
}

// witness returns the entry that tells most about whether the node is there. A node has
// one.
func (n *node) witness() *entry {
	for e := range n.entries {
		if e.kind != KindStats || len(n.checks) == 0 {
			return e
		}
	}
	return nil
}

// ExpectNode restores a node from the record of a NodeChange, after Resume. One that the
// snapshot does not hold is known, and was not heard since: its status is UNKNOWN until it
// reports, and it goes missing in time. One that was stopped after the snapshot is STOPPED.
func (s *Store) ExpectNode(version int, data []byte) error {
	if version != SnapshotVersion {
		return fmt.Errorf("version %d, want %d", version, SnapshotVersion)
	}
	in := recordReader{rest: data}
	if in.byteUpTo(recordNode) != recordNode {
		return errors.New("no record of a node")
	}
	r, err := parseNode(&in)
	if err != nil {
		return err
	}
	if len(r.items) != 1 {
		return fmt.Errorf("node %q of service %q: %d entries, want one", r.Node, r.Service, len(r.items))
	}
	x := &r.items[0]
	wasStopped := x.Kind == KindStatus && x.Status == int32(healthpb.Status_STOPPED)
	if !s.expect(r, x, wasStopped) && wasStopped {
		s.Put(&x.Event)
	}
	return nil
}

// expect adds a node that is not held, unless there is no room, and reports whether it was
// not held.
func (s *Store) expect(r *restored, x *restoredEntry, wasStopped bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{string(r.Service), string(r.Version), string(r.Node)}
	defer delete(s.changedNodes, k) // it is written down as it is
	if s.lookupNode(&r.Event) != nil {
		return false
	}
	now := s.clock.now()
	x.age = time.Duration(max(s.clock.unix(now)-int64(x.received), 0))*time.Second - now
	x.silent, x.gone = 0, 0
	if !wasStopped {
		x.state, x.Status, x.status = live, 0, 0
	}
	s.restore(r, x)
	return true
}
