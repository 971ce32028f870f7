package broker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

const (
	// The service under which go-micro has registered subscribers since 2020, and the
	// version of those without a queue.
	httpServiceName = "micro.http.broker"
	httpBroadcast   = "ff.http.broadcast"
	// A registration that is not renewed expires after this time.
	httpRegisterTTL = time.Minute
)

// A registration is a service in which publishers look up the subscribers of a topic.
type registration struct {
	service string
	ending  string // of our node ids there
}

// registrations returns where publishers look up a topic: that of today, then those of
// older versions of go-micro. Each publisher knows one of them, so none finds a
// subscriber twice.
func registrations(topic string) []registration {
	return []registration{
		{httpServiceName, ""},
		{"topic:" + topic, ".v1.0"}, // go-micro to v1.11 (2015 to October 2019)
		{topic, ".v1.13"},           // v1.13 to v1.17 (to December 2019)
		{"go.micro.http.broker", ".v1.18"},
	}
}

// httpSubscriptions are the subscriptions of this process.
type httpSubscriptions struct {
	id string // of this process

	mu       sync.Mutex
	registry registry.Registry            // guarded by mu
	address  string                       // guarded by mu; to be registered
	byTopic  map[string]*httpSubscription // guarded by mu
}

// httpSubscription is a subscription. Its fields never change.
type httpSubscription struct {
	active
	handler  broker.Handler
	services []*registry.Service // with one node each, in the order of registrations
}

func (s *httpSubscriptions) currentRegistry() registry.Registry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.registry
}

// of returns the subscription of a topic, or nil.
func (s *httpSubscriptions) of(topic string) *httpSubscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byTopic[topic]
}

// add registers a subscription. A Broker has at most one of each topic.
func (s *httpSubscriptions) add(topic string, secure bool, handler broker.Handler, options broker.SubscribeOptions) (broker.Subscriber, error) {
	s.mu.Lock()
	address, taken := s.address, s.byTopic[topic] != nil
	s.mu.Unlock()
	if taken {
		return nil, fmt.Errorf("%q is already subscribed", topic)
	}
	sub := &httpSubscription{handler: handler}
	sub.active = active{topic, options, func() error { return s.remove(sub) }}
	version := options.Queue
	if version == "" {
		version = httpBroadcast
	}
	ways := registrations(topic)
	if s.currentRegistry().String() == "mdns" {
		ways = ways[:1] // it opens sockets for each, and the mdns of older versions is another one
	}
	for _, r := range ways {
		sub.services = append(sub.services, &registry.Service{Name: r.service, Version: version, Nodes: []*registry.Node{{
			Id:       topic + "-" + s.id + r.ending,
			Address:  address,
			Metadata: map[string]string{"secure": strconv.FormatBool(secure), "broker": "http", "topic": topic},
		}}})
	}
	if err := s.register(sub); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byTopic[topic] = sub
	return sub, nil
}

// hasNode reports whether one of the registrations has this node id.
func (s *httpSubscription) hasNode(id string) bool {
	return slices.ContainsFunc(s.services, func(r *registry.Service) bool { return r.Nodes[0].Id == id })
}

// register registers a subscription or renews it. It succeeds if the publishers of
// today find it.
func (s *httpSubscriptions) register(sub *httpSubscription) error {
	r, ttl := s.currentRegistry(), registry.RegisterTTL(httpRegisterTTL)
	if err := r.Register(sub.services[0], ttl); err != nil {
		return err
	}
	for _, older := range sub.services[1:] {
		_ = r.Register(older, ttl, guard.Optional)
	}
	return nil
}

// remove ends a subscription and its registrations.
func (s *httpSubscriptions) remove(sub *httpSubscription) error {
	s.mu.Lock()
	delete(s.byTopic, sub.topic)
	s.mu.Unlock()
	return s.deregister(sub)
}

func (s *httpSubscriptions) deregister(sub *httpSubscription) (err error) {
	for _, service := range slices.Backward(sub.services) {
		err = s.currentRegistry().Deregister(service)
	}
	return err
}

// renew registers every subscription again. It continues after a failure and returns
// the last one.
func (s *httpSubscriptions) renew() (failed error) {
	s.mu.Lock()
	subs := slices.Collect(maps.Values(s.byTopic))
	s.mu.Unlock()
	for _, sub := range subs {
		if err := guard.CatchPanic(func() error { return s.register(sub) }); err != nil {
			failed = err
		}
		if s.of(sub.topic) == nil { // it ended meanwhile
			_ = s.deregister(sub)
		}
	}
	return failed
}
