package discovery

import (
	"context"
	"errors"

	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/store"
)

// Local answers probes from what services have published to this instance.
type Local struct{ store *store.Store }

var (
	_ probe.EventSource = Local{}
	_ probe.StatsSource = Local{}
)

// NewLocal returns a Local on a store.
func NewLocal(s *store.Store) Local { return Local{s} }

// Checks implements probe.EventSource.
func (l Local) Checks(_ context.Context, service, check, node string) ([]probe.Check, error) {
	items, err := allPages(l.store.Checks, store.Query{Service: service, ID: check, Node: node, Missing: true})
	var checks []probe.Check
	for _, c := range items {
		if c.Stopped {
			continue
		}
		stale := c.Missing || c.Status != c.Reported
		checks = append(checks, probe.Check{
			Node: c.Node, Status: statusOf(c.Reported), Age: c.Age, Stale: stale, Error: c.Proto().Error,
		})
	}
	return checks, err
}

// Stats implements probe.StatsSource.
func (l Local) Stats(_ context.Context, service string) ([]probe.NodeStats, error) {
	items, err := allPages(l.store.Stats, store.Query{Service: service})
	nodes := make([]probe.NodeStats, 0, len(items))
	for _, n := range items {
		nodes = append(nodes, nodeStats(n.Proto(), n.Node, n.Age, n.Interval))
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
