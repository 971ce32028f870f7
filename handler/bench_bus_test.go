package handler

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	natsbroker "github.com/go-micro/plugins/v4/broker/nats"
	"github.com/nats-io/nats-server/v2/server"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/store"
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
	events := NewEvents(EventsConfig{Store: p, Log: slog.New(slog.DiscardHandler)})
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

type nothing struct{}

func (nothing) Put(*store.Event) store.Outcome { return store.Accepted }

func BenchmarkBusNATS(b *testing.B) {
	for _, contentType := range []string{"application/protobuf", "application/json"} {
		b.Run(contentType, func(b *testing.B) {
			url := startNATS(b)
			events := runEvents(b, connect(b, natsbroker.NewBroker(broker.Addrs(url))), nothing{})
			pub := client.NewClient(client.Broker(connect(b, natsbroker.NewBroker(broker.Addrs(url)))))
			const n = 200000
			m := typicalCheck()
			for b.Loop() {
				start := time.Now()
				before := events.Counters().Topics[health.TopicHealthCheck]
				for range n {
					msg := pub.NewMessage(health.TopicHealthCheck, m, client.WithMessageContentType(contentType))
					if err := pub.Publish(context.Background(), msg); err != nil {
						b.Fatal(err)
					}
				}
				published := time.Since(start)
				got := settle(events, before.Received+n)
				c := events.Counters()
				b.ReportMetric(n/published.Seconds(), "published/s")
				b.ReportMetric(float64(got.Accepted-before.Accepted)/time.Since(start).Seconds(), "accepted/s")
				b.ReportMetric(float64(before.Received+n-got.Received), "lost/op")
				b.ReportMetric(float64(got.Dropped-before.Dropped), "dropped/op")
				_ = c
			}
		})
	}
}

// settle waits until so many messages were dealt with, or none came for a second.
func settle(events *Events, want uint64) TopicCounters {
	last, since := uint64(0), time.Now()
	for {
		c := events.Counters().Topics[health.TopicHealthCheck]
		done := c.Accepted + c.Stale + c.Refused + c.Rejected + c.Dropped
		if done >= want || time.Since(since) > time.Second {
			return c
		}
		if done != last {
			last, since = done, time.Now()
		}
		time.Sleep(time.Millisecond)
	}
}
