package discovery

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/probe"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

// Local answers probes from what services have published to this instance.
type Local struct {
	store *store.Store

	mu      sync.Mutex
	watched map[string]int // guarded by mu; watches of each service
}

var (
	_ probe.EventSource = (*Local)(nil)
	_ probe.StatsSource = (*Local)(nil)
)

// NewLocal returns a Local on a store.
func NewLocal(s *store.Store) *Local { return &Local{store: s, watched: make(map[string]int)} }

// Since implements probe.Listener.
func (l *Local) Since() time.Time { return l.store.Started() }

// Watch implements probe.Listener. What is watched is believed, see store.Believe.
func (l *Local) Watch(service string) (end func()) {
	l.watch(service, 1)
	return sync.OnceFunc(func() { l.watch(service, -1) })
}

func (l *Local) watch(service string, by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watched[service] += by
	watched := l.watched[service] > 0
	if !watched {
		delete(l.watched, service)
	}
	l.store.Believe(service, "", watched)
}

// Checks implements probe.EventSource.
func (l *Local) Checks(_ context.Context, service, check, node string) ([]probe.Check, error) {
	items, err := allPages(l.store.Checks, store.Query{Service: service, ID: check, Node: node, Missing: true})
	var checks []probe.Check
	for _, c := range items {
		stale := c.Missing || c.Status != c.Reported
		checks = append(checks, probe.Check{
			Node: c.Node, Status: statusOf(c.Reported), Age: c.Age, Stale: stale, Stopped: c.Stopped, Error: c.Proto().Error,
		})
	}
	if err != nil || len(checks) > 0 {
		return checks, err
	}
	stopped, err := l.stopped(service, node)
	for _, n := range stopped {
		checks = append(checks, probe.Check{Node: n, Stopped: true})
	}
	return checks, err
}

// stopped returns the nodes of a service, or one of them, if all were stopped on purpose.
// They are known for longer than what they published.
func (l *Local) stopped(service, node string) ([]string, error) {
	items, err := allPages(l.store.Nodes, store.Query{Service: service, Node: node, Missing: true})
	var stopped []string
	for _, n := range items {
		if n.Status != healthpb.Status_STOPPED {
			return nil, err
		}
		stopped = append(stopped, n.Node)
	}
	return stopped, err
}

// Stats implements probe.StatsSource.
func (l *Local) Stats(_ context.Context, service string) ([]probe.NodeStats, error) {
	items, err := allPages(l.store.Stats, store.Query{Service: service, Missing: true})
	nodes := make([]probe.NodeStats, 0, len(items))
	for _, n := range items {
		out := nodeStats(n.Proto(), n.Node, n.Age)
		out.Stale, out.Stopped = n.Stale, n.Stopped
		nodes = append(nodes, out)
	}
	if err != nil || len(nodes) > 0 {
		return nodes, err
	}
	stopped, err := l.stopped(service, "")
	for _, n := range stopped {
		nodes = append(nodes, probe.NodeStats{Node: n, Stopped: true})
	}
	return nodes, err
}

// allPages queries all pages. An unknown service has none.
func allPages[T any](ask func(store.Query) (store.Page[T], error), q store.Query) ([]T, error) {
	var all []T
	for q.Limit = store.MaxLimit; ; {
		page, err := ask(q)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return all, nil
		}
	}
}
