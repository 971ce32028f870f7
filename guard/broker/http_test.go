package broker_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/broker"

	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

func TestHTTPBrokerSpeaksWithStockOnes(t *testing.T) {
	testkit.NoLeaks(t)
	reg := &registrytest.Fake{}
	stock := stockBroker(t, reg)
	b, stop := startHTTP(t, reg, nil)
	var bodies atomic.Value
	subscribe(t, b, "t", func(e broker.Event) error {
		bodies.Store(e.Topic() + " " + string(e.Message().Body) + " " + e.Message().Header["Content-Type"])
		return nil
	})
	awaitSubscribed(t, b)
	if err := stock.Publish("t", message("from stock")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 5*time.Second, "stock to ours", func() bool { return bodies.Load() == "t from stock application/json" })
	if err := b.Publish("t", message("from ours")); err != nil {
		t.Fatal(err)
	}
	if got := bodies.Load(); got != "t from ours application/json" {
		t.Errorf("ours to ours: %v", got)
	}
	got := make(chan string, 1)
	sub, err := stock.Subscribe("s", func(e broker.Event) error { got <- e.Topic() + " " + string(e.Message().Body); return nil })
	if err != nil {
		t.Fatal(err)
	}
	other, _ := startHTTP(t, reg, nil) // whose cache is empty
	if err := other.Publish("s", message("x")); err != nil || <-got != "s x" {
		t.Errorf("ours to stock: %v", err)
	}
	_ = sub.Unsubscribe()
	if err := b.Publish("nobody", message("x")); err != nil {
		t.Errorf("an event for nobody: %v", err)
	}
	stop()
	if len(reg.Services) != 0 {
		t.Errorf("left in the registry: %v", reg.Services)
	}
}

func TestHTTPBrokerQueueGetsOneOfTwo(t *testing.T) {
	testkit.NoLeaks(t)
	reg := &registrytest.Fake{}
	one, _ := startHTTP(t, reg, nil)
	two, _ := startHTTP(t, reg, nil)
	three, _ := startHTTP(t, reg, nil)
	q1, q2 := countEvents(t, one, "t", broker.Queue("q")), countEvents(t, two, "t", broker.Queue("q"))
	all := countEvents(t, three, "t")
	for range 100 {
		if err := three.Publish("t", message("x")); err != nil {
			t.Fatal(err)
		}
	}
	if q1.Load()+q2.Load() != 100 || q1.Load() == 0 || q2.Load() == 0 || all.Load() != 100 {
		t.Errorf("queue %d + %d, broadcast %d", q1.Load(), q2.Load(), all.Load())
	}
}

// A subscriber that hangs costs the publisher nothing that stays.
// Faults: Trap5.
func TestStuckSubscriberCostsThePublisherNothing(t *testing.T) {
	testkit.SkipIfShort(t)
	testkit.NoLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, in the kernel, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	reg := &registrytest.Fake{}
	b, _ := startHTTP(t, reg, func(cfg *guardbroker.HTTPConfig) { cfg.Timeout = 200 * time.Millisecond })
	n := countEvents(t, b, "t")
	stuck := registrytest.Service("micro.http.broker", "t-stuck")
	stuck.Version = "ff.http.broadcast"
	stuck.Nodes[0].Address = l.Addr().String()
	stuck.Nodes[0].Metadata = map[string]string{"broker": "http", "topic": "t"}
	if err := reg.Register(stuck); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for range 20 {
		start := time.Now()
		// The deadline is 200 ms; the rest is for a machine that is busy with other tests.
		if err := b.Publish("t", message("x")); time.Since(start) > 15*time.Second {
			t.Fatalf("publish took %v: %v", time.Since(start), err)
		}
	}
	if n.Load() != 20 {
		t.Errorf("the healthy subscriber got %d of 20", n.Load())
	}
	testkit.Eventually(t, 5*time.Second, "goroutines are back", func() bool { return runtime.NumGoroutine() <= before+10 })
}

func TestHTTPBrokerDrainsEventsInFlight(t *testing.T) {
	testkit.NoLeaks(t)
	b, stop := startHTTP(t, &registrytest.Fake{}, nil)
	entered, done := make(chan struct{}), make(chan struct{})
	var finished atomic.Bool
	subscribe(t, b, "t", func(broker.Event) error {
		close(entered)
		<-done
		finished.Store(true)
		return nil
	})
	awaitSubscribed(t, b)
	published := make(chan error, 1)
	go func() { published <- b.Publish("t", message("x"), broker.PublishContext(context.Background())) }()
	<-entered
	time.AfterFunc(300*time.Millisecond, func() { close(done) })
	took := stop()
	if !finished.Load() || took > 2*time.Second {
		t.Errorf("stopped in %v, handler finished: %v", took, finished.Load())
	}
	<-published
}

func TestHTTPBrokerWaitsForItsPort(t *testing.T) {
	testkit.NoLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, err := guardbroker.NewHTTP(guardbroker.HTTPConfig{
		Config:   guardbroker.Config{Logger: testkit.QuietLog(), RetryMin: 20 * time.Millisecond, RetryMax: 20 * time.Millisecond},
		Registry: &registrytest.Fake{},
		Address:  l.Addr().String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, b)
	testkit.Eventually(t, 5*time.Second, "the reason is told", func() bool {
		return b.Connect() == nil && b.State().Reason == "broker http at "+l.Addr().String()+": address already in use"
	})
	_ = l.Close()
	testkit.Eventually(t, 5*time.Second, "connected", func() bool { return b.State().OK })
	if b.Address() != l.Addr().String() {
		t.Errorf("address %q, want %q", b.Address(), l.Addr())
	}
}

func TestHTTPBrokerAnnouncesTheGivenAddress(t *testing.T) {
	testkit.NoLeaks(t)
	for _, c := range []struct{ address, want string }{
		{"", "127.0.0.1:PORT"},
		{"localhost:0", "localhost:PORT"},
	} {
		reg := &registrytest.Fake{}
		b, stop := startHTTP(t, reg, func(cfg *guardbroker.HTTPConfig) { cfg.Address = c.address })
		countEvents(t, b, "t")
		_, port, err := net.SplitHostPort(b.Address())
		if err != nil {
			t.Fatal(err)
		}
		for id, s := range reg.Services {
			if got, want := s.Nodes[0].Address, strings.Replace(c.want, "PORT", port, 1); got != want {
				t.Errorf("%s announces %q, want %q", id, got, want)
			}
		}
		stop()
	}
	for _, address := range []string{"host", "1:2:3"} {
		_, err := guardbroker.NewHTTP(guardbroker.HTTPConfig{Registry: &registrytest.Fake{}, Address: address})
		want := fmt.Sprintf("broker address %q: it is not host:port: give host:port, with port 0 for a free one", address)
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := guardbroker.NewHTTP(guardbroker.HTTPConfig{}); err == nil {
		t.Error("no registry, no error")
	}
}

func TestHTTPBrokerOverTLS(t *testing.T) {
	testkit.NoLeaks(t)
	ca := testkit.NewCA(t, "ours")
	pair := ca.KeyPair("127.0.0.1")
	reg := &registrytest.Fake{}
	b, _ := startHTTP(t, reg, func(cfg *guardbroker.HTTPConfig) {
		cfg.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: ca.Pool()}
	})
	n := countEvents(t, b, "t")
	if err := b.Publish("t", message("x")); err != nil || n.Load() != 1 {
		t.Errorf("over TLS: %v, %d events", err, n.Load())
	}
	stranger, _ := startHTTP(t, reg, nil)
	if err := stranger.Publish("t", message("x")); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a publisher without the CA: %v", err)
	}
}

func TestHTTPBrokerRenewsItsAnnouncements(t *testing.T) {
	testkit.NoLeaks(t)
	reg := &registrytest.Fake{}
	b, stop := startHTTP(t, reg, func(cfg *guardbroker.HTTPConfig) { cfg.Renew = 20 * time.Millisecond })
	sub := subscribe(t, b, "t", ignoreEvent)
	awaitSubscribed(t, b)
	id := reg.ID()
	if reg.TTLs[id] != time.Minute {
		t.Errorf("ttl %v", reg.TTLs[id])
	}
	testkit.Eventually(t, 5*time.Second, "renewed", func() bool { return reg.Count("register "+id) > 5 })
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 5*time.Second, "gone", func() bool { return !reg.Has(id) })
	before := reg.Count("register " + id)
	countEvents(t, b, "other")
	<-time.After(100 * time.Millisecond)
	if got := reg.Count("register " + id); got != before {
		t.Errorf("renewed %d times after it was gone", got-before)
	}
	stop()
}

// Pipelined events on one connection are all answered.
func TestHTTPBrokerKeepsConnections(t *testing.T) {
	b, id, n := startCounting(t, "t")
	conn, err := net.Dial("tcp", b.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"Header":{"Micro-Topic":"t"},"Body":"eA=="}`
	var requests bytes.Buffer
	for range 10 {
		fmt.Fprintf(&requests, "POST /?id=%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", id, len(body), body)
	}
	if _, err := conn.Write(requests.Bytes()); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for i := range 10 {
		rsp, err := http.ReadResponse(in, nil)
		if err != nil || rsp.StatusCode != 200 {
			t.Fatalf("answer %d: %v, %v", i, rsp, err)
		}
		_ = rsp.Body.Close()
	}
	if n.Load() != 10 {
		t.Errorf("%d events, want 10", n.Load())
	}
}
