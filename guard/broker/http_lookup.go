package broker

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go-micro.dev/v4/registry"
)

const (
	// A list of subscribers is looked up again after maxLookupAge, and after
	// minLookupAge if it has no subscriber of the topic or if one of them failed.
	maxLookupAge = 5 * time.Second
	minLookupAge = time.Second
)

// lookup finds the subscribers of a topic. go-micro's cache, which the stock broker
// uses, returns a list for a minute and starts to watch the registry only after it
// has read the list. The events of a topic that is registered in between go to
// nobody for that minute.
//
// While the registry fails, the last list stays in use. The subscriptions of this
// process need no registry.
type lookup struct {
	announcer *announcer
	timeout   time.Duration // of one query, shorter than that of a publish
	turn      chan struct{} // held by the caller that queries

	mu       sync.Mutex
	services []*registry.Service // guarded by mu; the last list, replaced and never changed
	queried  time.Time           // guarded by mu; the end of the last query, zero before the first
	err      error               // guarded by mu; of the last query
	suspect  bool                // guarded by mu; a subscriber in the list failed
}

func newLookup(a *announcer, timeout time.Duration) *lookup {
	return &lookup{announcer: a, timeout: timeout, turn: make(chan struct{}, 1)}
}

// find returns the nodes that get an event of topic.
func (l *lookup) find(ctx context.Context, topic string) ([]*registry.Node, error) {
	if nodes, fresh, err := l.known(topic); fresh {
		return nodes, err
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if nodes, fresh, err := l.known(topic); fresh { // another caller has queried meanwhile
		return nodes, err
	}
	l.query(ctx)
	nodes, _, err := l.known(topic)
	return nodes, err
}

// known returns what the last list says, and whether it is fresh enough to be used.
func (l *lookup) known(topic string) (nodes []*registry.Node, fresh bool, err error) {
	own := l.announcer.own()
	l.mu.Lock()
	defer l.mu.Unlock()
	listed := subscribers(l.services, topic)
	limit := maxLookupAge
	if len(listed) == 0 || l.suspect {
		limit = minLookupAge
	}
	fresh = !l.queried.IsZero() && time.Since(l.queried) < limit
	nodes = subscribers(merge(l.services, own), topic)
	if len(nodes) == 0 {
		err = l.err
	}
	return nodes, fresh, err
}

// query replaces the list by that of the registry.
func (l *lookup) query(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	services, err := l.announcer.GetService(httpServiceName, registry.GetContext(ctx))
	if errors.Is(err, registry.ErrNotFound) {
		services, err = nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queried, l.err, l.suspect = time.Now(), err, false
	if err == nil {
		l.services = services
	}
}

// doubt records that a subscriber in the list failed. It may have moved.
func (l *lookup) doubt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.suspect = true
}

// merge returns services with the nodes of own that they lack.
func merge(services, own []*registry.Service) []*registry.Service {
	merged := slices.Clone(services)
	for _, o := range own {
		at := slices.IndexFunc(merged, func(s *registry.Service) bool { return s.Version == o.Version })
		if at < 0 {
			merged = append(merged, o)
			continue
		}
		s := *merged[at]
		s.Nodes = slices.Clone(s.Nodes)
		for _, n := range o.Nodes {
			if !slices.ContainsFunc(s.Nodes, func(listed *registry.Node) bool { return listed.Id == n.Id }) {
				s.Nodes = append(s.Nodes, n)
			}
		}
		merged[at] = &s
	}
	return merged
}

// subscribers returns the nodes that get an event: all without a queue, one of each
// queue.
func subscribers(services []*registry.Service, topic string) []*registry.Node {
	var all []*registry.Node
	for _, s := range services {
		var nodes []*registry.Node
		for _, n := range s.Nodes {
			if n.Metadata["broker"] == "http" && n.Metadata["topic"] == topic {
				nodes = append(nodes, n)
			}
		}
		if s.Version != httpBroadcast && len(nodes) > 1 {
			nodes = []*registry.Node{nodes[rand.IntN(len(nodes))]}
		}
		all = append(all, nodes...)
	}
	return all
}
