package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsbroker "github.com/go-micro/plugins/v4/broker/nats"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// startNATS starts a NATS server on a free port and returns its address.
func startNATS(tb testing.TB) string {
	tb.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		tb.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		tb.Fatal("NATS does not start")
	}
	tb.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s.ClientURL()
}

// quietNATS returns a broker that does not print the losses of its client.
func quietNATS(url string) broker.Broker {
	opts := nats.GetDefaultOptions()
	opts.AsyncErrorCB = func(*nats.Conn, *nats.Subscription, error) {}
	return natsbroker.NewBroker(natsbroker.Options(opts), broker.Addrs(url))
}

// guardedNATS returns the broker of an instance.
func guardedNATS(b *testing.B, url string) broker.Broker {
	b.Helper()
	guarded, err := guardbroker.NewNATS(guardbroker.NATSConfig{Config: guardbroker.Config{Logger: testkit.QuietLog()}, Addresses: []string{url}})
	if err != nil {
		b.Fatal(err)
	}
	testkit.Run(b, guarded)
	testkit.Eventually(b, 5*time.Second, "connected", func() bool { return guarded.Connect() == nil && guarded.State().OK })
	return guarded
}

func connect(tb testing.TB, b broker.Broker) broker.Broker {
	tb.Helper()
	if err := b.Connect(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Disconnect() })
	return b
}

// runEvents subscribes and runs Events until the test ends.
func runEvents(tb testing.TB, b broker.Broker, p Putter) *Events {
	tb.Helper()
	events := NewEvents(Config{Store: p, Log: testkit.QuietLog()})
	if err := events.Subscribe(b); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = events.Run(ctx) })
	tb.Cleanup(func() {
		if err := events.Unsubscribe(); err != nil {
			tb.Error(err)
		}
		cancel()
		wg.Wait()
	})
	return events
}

// publisher publishes typical events of 1,000 nodes with go-micro's own client.
type publisher struct {
	client      client.Client
	contentType string
	checks      []*healthpb.HealthCheck
}

func newPublisher(b broker.Broker, contentType string) *publisher {
	p := &publisher{client: client.NewClient(client.Broker(b)), contentType: contentType}
	for i := range 1000 {
		p.checks = append(p.checks, eventtest.OfNode(i, eventtest.Check()))
	}
	return p
}

// publish publishes n events at the rate a second, or flat out if it is zero.
func (p *publisher) publish(b *testing.B, n, rate int) {
	b.Helper()
	start := time.Now()
	for i := range n {
		if rate > 0 && i%10 == 0 {
			time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
		msg := p.client.NewMessage(health.TopicHealthCheck, p.checks[i%len(p.checks)], client.WithMessageContentType(p.contentType))
		if err := p.client.Publish(context.Background(), msg); err != nil {
			b.Fatal(err)
		}
	}
}

// settle waits until count has reached want, or has not grown for a second. It
// returns when it last grew.
func settle(count func() uint64, want uint64) (got uint64, at time.Time) {
	at = time.Now()
	for got < want && time.Since(at) < time.Second {
		if n := count(); n != got {
			got, at = n, time.Now()
		}
		time.Sleep(time.Millisecond)
	}
	return got, at
}

// BenchmarkBusNATS lets go-micro's own client publish flat out over NATS into the
// broker and the store of an instance, all in this process. What NATS lost on the way is lost/op; what was
// received and is in neither accepted nor dropped would be an error.
func BenchmarkBusNATS(b *testing.B) {
	for _, contentType := range []string{"application/protobuf", "application/json"} {
		b.Run(contentType, func(b *testing.B) {
			url := startNATS(b)
			events := runEvents(b, guardedNATS(b, url), roomy())
			bus := connect(b, quietNATS(url))
			ready(b, bus, events)
			pub := newPublisher(bus, contentType)
			const n = 200000
			var accepted, received, dropped, seconds float64
			cpu := testkit.CPUTime(b)
			for b.Loop() {
				before := events.Counters().Topics[health.TopicHealthCheck]
				start := time.Now()
				pub.publish(b, n, 0)
				_, at := settle(func() uint64 {
					c := events.Counters().Topics[health.TopicHealthCheck]
					return c.Accepted + c.Dropped - before.Accepted - before.Dropped
				}, n)
				c := events.Counters().Topics[health.TopicHealthCheck]
				seconds += at.Sub(start).Seconds()
				accepted += float64(c.Accepted - before.Accepted)
				received += float64(c.Received - before.Received)
				dropped += float64(c.Dropped - before.Dropped)
			}
			if accepted+dropped != received {
				b.Errorf("%v received, %v accepted and %v dropped", received, accepted, dropped)
			}
			loops := float64(b.N)
			b.ReportMetric(accepted/seconds, "accepted/s")
			b.ReportMetric(n*loops/seconds, "published/s")
			b.ReportMetric(dropped/loops, "dropped/op")
			b.ReportMetric(n-received/loops, "lost/op")
			b.ReportMetric(float64(testkit.CPUTime(b)-cpu)/(n*loops), "cpu-ns/event")
		})
	}
}

// BenchmarkBusPlain has the same publisher, and a subscriber of plain nats.go that
// does nothing but unmarshal each event.
func BenchmarkBusPlain(b *testing.B) {
	for contentType, decode := range map[string]func([]byte, proto.Message) error{
		"application/protobuf": proto.Unmarshal,
		"application/json":     protojson.Unmarshal,
	} {
		b.Run(contentType, func(b *testing.B) {
			url := startNATS(b)
			var count atomic.Uint64
			conn, err := nats.Connect(url)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			sub, err := conn.Subscribe(health.TopicHealthCheck, func(m *nats.Msg) {
				var envelope broker.Message
				err := json.Unmarshal(m.Data, &envelope)
				if err == nil {
					err = decode(envelope.Body, new(healthpb.HealthCheck))
				}
				if err != nil {
					b.Error(err)
				}
				count.Add(1)
			})
			if err == nil {
				err = sub.SetPendingLimits(-1, -1)
			}
			if err == nil {
				err = conn.Flush()
			}
			if err != nil {
				b.Fatal(err)
			}
			pub := newPublisher(connect(b, quietNATS(url)), contentType)
			const n = 200000
			var taken, seconds float64
			cpu := testkit.CPUTime(b)
			for b.Loop() {
				before, start := count.Load(), time.Now()
				pub.publish(b, n, 0)
				got, at := settle(func() uint64 { return count.Load() - before }, n)
				seconds += at.Sub(start).Seconds()
				taken += float64(got)
			}
			loops := float64(b.N)
			b.ReportMetric(taken/seconds, "accepted/s")
			b.ReportMetric(n-taken/loops, "lost/op")
			b.ReportMetric(float64(testkit.CPUTime(b)-cpu)/(n*loops), "cpu-ns/event")
		})
	}
}

// BenchmarkBusHTTP publishes over the http broker at rates around what it can do,
// to us and to a subscriber that does nothing but count. The stock publisher
// drops silently what it cannot send.
func BenchmarkBusHTTP(b *testing.B) {
	for _, rate := range []int{1000, 2000, 4000} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			var ours, trivial float64
			for b.Loop() {
				ours += httpShare(b, rate, func(side broker.Broker) func() uint64 {
					events := runEvents(b, side, roomy())
					return func() uint64 { return events.Counters().Topics[health.TopicHealthCheck].Accepted }
				})
				trivial += httpShare(b, rate, func(side broker.Broker) func() uint64 {
					var count atomic.Uint64
					sub, err := side.Subscribe(health.TopicHealthCheck, func(broker.Event) error {
						count.Add(1)
						return nil
					})
					if err != nil {
						b.Fatal(err)
					}
					b.Cleanup(func() { _ = sub.Unsubscribe() })
					return count.Load
				})
			}
			b.ReportMetric(100*ours/float64(b.N), "%taken")
			b.ReportMetric(100*trivial/float64(b.N), "%taken-trivial")
			b.ReportMetric(ours/trivial, "ratio")
		})
	}
}

// httpShare publishes for a second and returns the share of the events that was
// counted.
func httpShare(b *testing.B, rate int, subscribe func(broker.Broker) func() uint64) float64 {
	b.Helper()
	reg := registry.NewMemoryRegistry()
	side := func() broker.Broker {
		return connect(b, broker.NewBroker(broker.Registry(reg), broker.Addrs("127.0.0.1:0")))
	}
	count := subscribe(side())
	newPublisher(side(), "application/protobuf").publish(b, rate, rate)
	got, _ := settle(count, uint64(rate))
	return float64(got) / float64(rate)
}
