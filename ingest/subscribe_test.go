package ingest

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/health"
)

// fakeBroker records subscriptions and fails on the topic named.
type fakeBroker struct {
	broker.Broker
	fail string
	subs []*fakeSub
}

type fakeSub struct {
	topic   string
	handler broker.Handler
	opts    broker.SubscribeOptions
	gone    bool
}

func (b *fakeBroker) Subscribe(topic string, h broker.Handler, opts ...broker.SubscribeOption) (broker.Subscriber, error) {
	if topic == b.fail {
		return nil, errors.New("no")
	}
	s := &fakeSub{topic: topic, handler: h, opts: broker.NewSubscribeOptions(opts...)}
	b.subs = append(b.subs, s)
	return s, nil
}

func (s *fakeSub) Options() broker.SubscribeOptions { return s.opts }
func (s *fakeSub) Topic() string                    { return s.topic }
func (s *fakeSub) Unsubscribe() error               { s.gone = true; return nil }

// Faults: A20.
func TestEachTopicIsSubscribedOnceWithoutAQueue(t *testing.T) {
	events := NewEvents(Config{Store: &putter{}})
	b := new(fakeBroker)
	if err := events.Subscribe(b); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, s := range b.subs {
		got[s.topic]++
		if s.opts.Queue != "" {
			t.Errorf("topic %q is taken with the queue %q", s.topic, s.opts.Queue)
		}
	}
	want := map[string]int{"micro.monitor.healthcheck": 1, "micro.monitor.status": 1, "micro.monitor.stats": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := events.Subscribe(b); err == nil || len(b.subs) != 3 {
		t.Error("a second call must fail and subscribe to nothing")
	}
	if err := events.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	for _, s := range b.subs {
		if !s.gone {
			t.Errorf("topic %q is still subscribed", s.topic)
		}
	}
}

func TestSubscribeIsAllOrNothing(t *testing.T) {
	events := NewEvents(Config{Store: &putter{}})
	b := &fakeBroker{fail: health.TopicStats}
	if err := events.Subscribe(b); err == nil || !strings.Contains(err.Error(), `"micro.monitor.stats"`) {
		t.Errorf("error %v, want one that names the topic", err)
	}
	for _, s := range b.subs {
		if !s.gone {
			t.Errorf("topic %q is still subscribed", s.topic)
		}
	}
	b.fail = ""
	if err := events.Subscribe(b); err != nil {
		t.Errorf("second try: %v", err)
	}
}
