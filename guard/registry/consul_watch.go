package registry

import (
	"context"
	"maps"
	"time"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

const (
	// The wait of a blocking query. It finds a dead agent within half a minute and
	// costs two responses without a change per minute.
	consulWait = 30 * time.Second
	// The pause between two queries. It bounds them to ten per second, whatever the
	// index does.
	consulPause = 100 * time.Millisecond
)

// consulWatch watches one service by blocking queries. The plugin's own watcher leaks
// goroutines when it is stopped, waits up to three minutes after an error, and
// repeats deletions. This one has no goroutine: Next waits in that of its caller.
type consulWatch struct {
	consul *consulRegistry
	name   string
	ctx    context.Context
	cancel context.CancelFunc

	// Used by Next alone.
	queried bool
	index   uint64
	retry   guard.Backoff
	known   map[string]*registry.Service // by version
	ready   []*registry.Result
}

// Next waits for the next change. It retries when the agent fails, and returns an
// error only after Stop.
func (w *consulWatch) Next() (*registry.Result, error) {
	for len(w.ready) == 0 {
		if w.ctx.Err() != nil {
			return nil, registry.ErrWatcherStopped
		}
		if err := w.query(); err != nil {
			guard.Pause(w.ctx, w.retry.Next(guard.DefaultRetryMin, guard.DefaultRetryMax))
			continue
		}
		w.retry.Reset()
	}
	res := w.ready[0]
	w.ready = w.ready[1:]
	return res, nil
}

// Stop ends the watch and a pending Next.
func (w *consulWatch) Stop() { w.cancel() }

// query waits until the service may have changed and records the changes.
func (w *consulWatch) query() error {
	if w.queried && !guard.Pause(w.ctx, consulPause) {
		return w.ctx.Err()
	}
	w.queried = true
	q := &api.QueryOptions{AllowStale: true, WaitIndex: w.index, WaitTime: consulWait}
	services, index, err := w.consul.reader.versions(w.ctx, w.name, q)
	if err != nil {
		w.index = 0
		return err
	}
	switch {
	case w.index > 0 && index == w.index:
		return nil
	case index < w.index: // Consul was restored or restarted empty
		w.index = 0
	default:
		w.index = index
	}
	w.compare(services)
	return nil
}

// compare makes results from the differences between services and the known ones.
// Additions come before removals: go-micro's cache keeps the old nodes of an update
// until they are deleted, and drops a service whose last node is deleted.
func (w *consulWatch) compare(services []*registry.Service) {
	known := make(map[string]*registry.Service, len(services))
	for _, s := range services {
		known[s.Version] = s
		old := w.known[s.Version]
		switch {
		case len(s.Nodes) == 0:
		case old == nil || len(old.Nodes) == 0:
			w.add("create", s, s.Nodes)
		case !sameNodes(old.Nodes, s.Nodes):
			w.add("update", s, s.Nodes)
		}
	}
	for version, old := range w.known {
		var now []*registry.Node
		if s := known[version]; s != nil {
			now = s.Nodes
		}
		if gone := missingNodes(old.Nodes, now); len(gone) > 0 {
			w.add("delete", old, gone)
		}
	}
	w.known = known
}

// add appends a result with a copy of the service, which the receiver may change.
func (w *consulWatch) add(action string, s *registry.Service, nodes []*registry.Node) {
	c := *s
	c.Nodes = make([]*registry.Node, len(nodes))
	for i, n := range nodes {
		node := *n
		c.Nodes[i] = &node
	}
	w.ready = append(w.ready, &registry.Result{Action: action, Service: &c})
}

func sameNodes(a, b []*registry.Node) bool {
	if len(a) != len(b) {
		return false
	}
	byID := make(map[string]*registry.Node, len(a))
	for _, n := range a {
		byID[n.Id] = n
	}
	for _, n := range b {
		old := byID[n.Id]
		if old == nil || old.Address != n.Address || !maps.Equal(old.Metadata, n.Metadata) {
			return false
		}
	}
	return true
}

// missingNodes returns the nodes of old that are not in now.
func missingNodes(old, now []*registry.Node) []*registry.Node {
	present := make(map[string]bool, len(now))
	for _, n := range now {
		present[n.Id] = true
	}
	var gone []*registry.Node
	for _, n := range old {
		if !present[n.Id] {
			gone = append(gone, n)
		}
	}
	return gone
}
