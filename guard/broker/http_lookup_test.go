package broker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"
)

// listRegistry answers with the list, after the delay or when the query ends.
type listRegistry struct {
	registry.Registry
	services []*registry.Service
	err      error
	delay    time.Duration
	queries  int
}

func (r *listRegistry) GetService(_ string, opts ...registry.GetOption) ([]*registry.Service, error) {
	var o registry.GetOptions
	for _, opt := range opts {
		opt(&o)
	}
	r.queries++
	select {
	case <-time.After(r.delay):
		return r.services, r.err
	case <-o.Context.Done():
		return nil, o.Context.Err()
	}
}

func (r *listRegistry) Register(*registry.Service, ...registry.RegisterOption) error { return nil }

func (r *listRegistry) Deregister(*registry.Service, ...registry.DeregisterOption) error { return nil }

func (r *listRegistry) String() string { return "list" }

// topics is a list of one subscriber a topic.
func topics(names ...string) []*registry.Service {
	s := &registry.Service{Name: httpServiceName, Version: httpBroadcast}
	for _, name := range names {
		s.Nodes = append(s.Nodes, &registry.Node{Id: name + "-1", Metadata: map[string]string{"broker": "http", "topic": name}})
	}
	return []*registry.Service{s}
}

// lookUp is a lookup in a bubble, with how many subscribers a topic has.
func lookUp(t *testing.T, r *listRegistry, test func(l *lookup, count func(topic string) int)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLookup(&httpSubscriptions{id: "1", registry: r, byTopic: make(map[string]*httpSubscription)}, time.Second)
		test(l, func(topic string) int {
			nodes, err := l.find(t.Context(), topic)
			if err != nil {
				return -1
			}
			return len(nodes)
		})
	})
}

// changesAfter checks that the number of subscribers of a topic changes after age, and
// no earlier.
func changesAfter(t *testing.T, age time.Duration, count func(string) int, topic string, from, to int) {
	t.Helper()
	if time.Sleep(age - 1); count(topic) != from {
		t.Errorf("looked up again before %v were over", age)
	}
	if time.Sleep(time.Nanosecond); count(topic) != to {
		t.Errorf("not %d subscribers after %v", to, age)
	}
}

func TestPublisherFindsATopicThatIsRegisteredAfterTheOthers(t *testing.T) {
	r := &listRegistry{services: topics("a")}
	lookUp(t, r, func(_ *lookup, count func(string) int) {
		if count("a") != 1 || count("b") != 0 {
			t.Error("at first: want a subscriber of a and none of b")
		}
		r.services = topics("a", "b")
		changesAfter(t, minLookupAge, count, "b", 0, 1)
	})
}

func TestPublisherFindsAnotherSubscriberWithin5s(t *testing.T) {
	r := &listRegistry{services: topics("a")}
	lookUp(t, r, func(_ *lookup, count func(string) int) {
		count("a")
		other := topics("a")
		other[0].Nodes[0].Id = "a-2"
		r.services = slices.Concat(topics("a"), other)
		changesAfter(t, maxLookupAge, count, "a", 1, 2)
	})
}

func TestPublisherLooksASubscriberThatFailedUpAgainAfterASecond(t *testing.T) {
	r := &listRegistry{services: topics("a")}
	lookUp(t, r, func(l *lookup, count func(string) int) {
		count("a")
		r.services = nil
		l.doubt()
		changesAfter(t, minLookupAge, count, "a", 1, 0)
	})
}

func TestPublisherKeepsItsListWhileTheRegistryFails(t *testing.T) {
	r := &listRegistry{err: errors.New("refused")}
	lookUp(t, r, func(_ *lookup, count func(string) int) {
		if count("a") != -1 {
			t.Error("no error before the first list")
		}
		r.err, r.services = nil, topics("a")
		time.Sleep(minLookupAge)
		count("a")
		r.err = errors.New("refused")
		if time.Sleep(time.Hour); count("a") != 1 {
			t.Error("the list is lost")
		}
		if count("b") != -1 {
			t.Error("no error for a topic that the list lacks")
		}
		r.err = registry.ErrNotFound
		time.Sleep(maxLookupAge)
		if got := count("a"); got != 0 {
			t.Errorf("%d subscribers, want the registry believed that there is none", got)
		}
	})
}

// A registry that hangs delays one event in five seconds, by the timeout of a query.
func TestPublisherDoesNotWaitForARegistryThatHangs(t *testing.T) {
	r := &listRegistry{services: topics("a")}
	lookUp(t, r, func(_ *lookup, count func(string) int) {
		count("a")
		r.delay = time.Hour
		time.Sleep(time.Minute)
		start := time.Now()
		for range 100 {
			if count("a") != 1 {
				t.Fatal("the list is lost")
			}
		}
		if took := time.Since(start); took != time.Second || r.queries != 2 {
			t.Errorf("took %v and %d queries, want 1s and 2", took, r.queries)
		}
	})
}

func TestManyPublishersShareOneQuery(t *testing.T) {
	r := &listRegistry{services: topics("a"), delay: 100 * time.Millisecond}
	lookUp(t, r, func(l *lookup, _ func(string) int) {
		var publishers sync.WaitGroup
		for range 100 {
			publishers.Go(func() {
				if nodes, err := l.find(context.Background(), "a"); len(nodes) != 1 || err != nil {
					t.Errorf("found %v, %v", nodes, err)
				}
			})
		}
		publishers.Wait()
		if r.queries != 1 {
			t.Errorf("%d queries", r.queries)
		}
	})
}

func TestPublisherFindsTheSubscriptionsOfItsOwnProcessAtOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		listed []*registry.Service
		err    error
	}{
		{"the registry has none yet", nil, registry.ErrNotFound},
		{"the registry has others", topics("b"), nil},
		{"the registry has them too", topics("a", "b"), nil},
		{"the registry fails", nil, errors.New("refused")},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &listRegistry{services: c.listed, err: c.err}
			lookUp(t, r, func(l *lookup, count func(string) int) {
				count("a")
				sub, err := l.own.add("a", false, nil, broker.SubscribeOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if got := count("a"); got != 1 {
					t.Errorf("%d subscribers, want 1", got)
				}
				if err := sub.Unsubscribe(); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}
