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
	own     *httpSubscriptions
	timeout time.Duration // of one query, shorter than that of a publish
	turn    chan struct{} // held by the caller that queries

	mu       sync.Mutex
	services []*registry.Service // guarded by mu; the last list, replaced and never changed
	queried  time.Time           // guarded by mu; the end of the last query, zero before the first
	err      error               // guarded by mu; of the last query
	suspect  bool                // guarded by mu; a subscriber in the list failed
}

func newLookup(own *httpSubscriptions, timeout time.Duration) *lookup {
	return &lookup{own: own, timeout: timeout, turn: make(chan struct{}, 1)}
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
	var services []*registry.Service
	if own := l.own.of(topic); own != nil {
		services = own.services[:1]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := maxLookupAge
	if l.suspect || len(subscribers(l.services, topic)) == 0 {
		limit = minLookupAge
	}
	fresh = !l.queried.IsZero() && time.Since(l.queried) < limit
	nodes = subscribers(slices.Concat(l.services, services), topic)
	if len(nodes) == 0 {
		err = l.err
	}
	return nodes, fresh, err
}

// query replaces the list by that of the registry.
func (l *lookup) query(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	services, err := l.own.currentRegistry().GetService(httpServiceName, registry.GetContext(ctx))
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

// subscribers returns the nodes that get an event: all without a queue, one of each
// queue. A node that is listed twice counts once.
func subscribers(services []*registry.Service, topic string) (nodes []*registry.Node) {
	seen, queues := make(map[string]bool), make(map[string][]*registry.Node)
	for _, s := range services {
		for _, n := range s.Nodes {
			if n.Metadata["broker"] != "http" || n.Metadata["topic"] != topic || seen[n.Id] {
				continue
			}
			seen[n.Id] = true
			if s.Version == httpBroadcast {
				nodes = append(nodes, n)
			} else {
				queues[s.Version] = append(queues[s.Version], n)
			}
		}
	}
	for _, q := range queues {
		nodes = append(nodes, q[rand.IntN(len(q))])
	}
	return nodes
}
