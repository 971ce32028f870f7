package service

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/monitor"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/state"
	"github.com/microhq/monitor-srv/store"
)

// inventoryInterval is how often new and ended nodes are written to the journal.
const inventoryInterval = time.Second

// storeSection is the part of the store in the snapshot.
func storeSection(s *store.Store) state.Section {
	return state.Section{Kind: "store", Version: store.SnapshotVersion, Write: s.WriteSnapshot, Read: s.ReadSnapshot}
}

// resumeStore ends the restoring of a store after a time without this service. Nodes that
// are newer than the snapshot are in the journal.
func resumeStore(d stateDir, down time.Duration, log *slog.Logger) {
	d.store.Resume(down)
	if d.records == nil {
		return
	}
	for _, e := range d.records.Records(nodeKind) {
		if err := d.store.ExpectNode(e.Version, e.Data); err != nil {
			log.Error("a node of the journal cannot be used", "err", err)
		}
	}
}

// forgetEnded forgets the restored results of monitors that are not there any more, or do
// not run.
func forgetEnded(r recorder, group *monitor.Group) {
	running := make(map[string]bool)
	for _, m := range group.List(monitor.Filter{}) {
		running[m.Name] = m.StoppedAt.IsZero()
	}
	q := store.Query{
		Service: r.service, Node: r.node, Missing: true, Limit: store.MaxLimit,
		Sources: []healthpb.HealthCheck_Source{healthpb.HealthCheck_MONITOR},
	}
	for {
		page, err := r.store.Checks(q)
		if err != nil {
			return // there is none
		}
		for _, c := range page.Items {
			if name := strings.TrimPrefix(c.ID, monitorPrefix); !running[name] {
				r.Record(monitor.Result{Name: name, State: monitor.Stopped})
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return
		}
	}
}

// keepInventory writes changes of nodes to the journal until ctx ends.
func (s stateDir) keepInventory(ctx context.Context) {
	for ctx.Err() == nil {
		s.writeInventory()
		select {
		case <-time.After(inventoryInterval):
		case <-ctx.Done():
		}
	}
}

// writeInventory writes what has changed since. What the disk does not take is tried again
// with the next changes; its condition tells why.
func (s stateDir) writeInventory() {
	for {
		changes := s.store.NodeChanges()
		if len(changes) == 0 {
			return
		}
		entries := make([]state.Entry, 0, len(changes))
		for _, c := range changes {
			entries = append(entries, state.Entry{Kind: nodeKind, Key: c.Key, Version: store.SnapshotVersion, Data: c.Record})
		}
		if err := s.records.Set(entries...); err != nil {
			s.store.RepeatNodeChanges(changes)
			return
		}
	}
}
