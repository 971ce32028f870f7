package guard_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/registry"

	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
	"github.com/microhq/monitor-srv/internal/testkit/natstest"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

// Faults: T1.
func TestEventsArriveOnceConsulAppears(t *testing.T) {
	testkit.NoLeaks(t)
	a := consultest.New(t)
	s, took := startUnregistered(t, a, 3*time.Second, "connection refused")
	start := time.Now()
	if _, err := s.registry.GetService("x"); err == nil || !strings.HasSuffix(err.Error(), "connection refused") || time.Since(start) > time.Second {
		t.Errorf("a question to an absent registry: %v after %v", err, time.Since(start))
	}
	a.Start()
	a.Ready()
	back := testkit.Eventually(t, 16*time.Second, "registered after Consul came", func() bool { return s.registered(a) })
	testkit.Eventually(t, 6*time.Second, "the state is OK", func() bool { return s.registry.State().OK })
	t.Logf("ready after %v, registered %v after Consul was", took.Round(time.Millisecond), back.Round(time.Millisecond))

	publisher := newPublisher(t, a)
	if failed := publish(publisher, 10); failed > 0 {
		t.Errorf("%d of 10 events were not sent", failed)
	}
	testkit.Eventually(t, 5*time.Second, "10 of 10 events", func() bool { return s.received.Load() == 10 })
	s.stop()
	if ids := a.Nodes("micro.http.broker"); len(ids) != 0 || a.Passing(serviceName, nodeID) {
		t.Errorf("left in Consul after the stop: %v", ids)
	}
}

// Over NATS nothing needs Consul: every event comes in while Consul is down.
// Faults: T1.
func TestEventsArriveOverNATSWithoutConsul(t *testing.T) {
	testkit.NoLeaks(t)
	consultest.ClearEnv(t)
	a, n := consultest.New(t), natstest.Start(t, nil)
	r, err := guardregistry.NewConsul(guardregistry.ConsulConfig{Address: a.Address()}, guardregistry.Config{Logger: testkit.QuietLog()})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, r)
	b := startNATSBroker(t, n.Address())
	srv := newServer(r, b, testkit.QuietLog(), 5*time.Second)
	start := time.Now()
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Stop() })
	got := countEvents(t, b, topic)
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("ready after %v, want 3s at most", took)
	}
	publisher := startNATSBroker(t, n.Address())
	if failed := publish(publisher, 10); failed > 0 {
		t.Errorf("%d of 10 events were not sent", failed)
	}
	testkit.Eventually(t, 5*time.Second, "10 of 10 events", func() bool { return got.Load() == 10 })
	if r.State().OK {
		t.Error("the state of an absent registry is OK")
	}
}

// The server believes that a guarded broker is connected as soon as it has been asked to.
func TestNothingSaysConnectedWhileNATSIsAway(t *testing.T) {
	testkit.NoLeaks(t)
	n := natstest.New(t, nil)
	log := &testkit.LogBuffer{}
	b, err := guardbroker.NewNATS(guardbroker.NATSConfig{
		Config: guardbroker.Config{Logger: log.Logger()}, Addresses: []string{"user:hunter2@" + n.Address()},
	})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, b)
	srv := newServer(&registrytest.Fake{}, b, log.Logger(), 5*time.Second)
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 5*time.Second, "the reason names the address", func() bool {
		return b.State().Reason == "broker nats at nats://<secret>@"+n.Address()+": connection refused"
	})
	if text := strings.ToLower(log.String()); strings.Contains(text, "connected to") || strings.Contains(text, "is connected") || strings.Contains(text, "hunter2") {
		t.Errorf("log:\n%s", text)
	}
	n.Start()
	testkit.Eventually(t, 5*time.Second, "the log says that it is connected", func() bool {
		return strings.Contains(log.String(), `msg="broker is connected" broker=nats address=nats://<secret>@`+n.Address())
	})
	if err := srv.Stop(); err != nil {
		t.Error(err)
	}
}

// Faults: T2, Trap7.
func TestFrozenConsulDelaysNoStart(t *testing.T) {
	testkit.SkipIfShort(t)
	testkit.NoLeaks(t)
	a := consultest.Start(t)
	a.Freeze()
	s, took := startUnregistered(t, a, 10*time.Second, "no answer within 2s")
	start := time.Now()
	if _, err := s.registry.GetService("x"); err == nil || !strings.Contains(err.Error(), "no answer within 2s") || time.Since(start) > 3*time.Second {
		t.Errorf("a question to a frozen registry: %v after %v", err, time.Since(start))
	}
	a.Thaw()
	back := testkit.Eventually(t, 16*time.Second, "registered after the thaw", func() bool { return s.registered(a) })
	t.Logf("ready after %v, registered %v after the thaw", took.Round(time.Millisecond), back.Round(time.Millisecond))
	s.stop()
}

// Faults: T3.
func TestConsulOutageLosesNoEvents(t *testing.T) {
	a, s := startWithConsul(t, consultest.StartPersistent)
	publisher := newPublisher(t, a)
	sent := 0
	publish := func(d time.Duration) {
		for start := time.Now(); time.Since(start) < d; sent += 10 {
			if failed := publish(publisher, 10); failed > 0 {
				t.Fatalf("%d of 10 events were not sent", failed)
			}
		}
	}
	publish(100 * time.Millisecond) // fills the publisher's cache
	since := s.registry.State().Since
	a.Kill()
	publish(testkit.Scale(6*time.Second, 2*time.Minute))
	if state := s.registry.State(); state.OK || !state.Since.After(since) {
		t.Errorf("state while Consul is dead: %+v", state)
	}
	a.Start()
	a.Ready()
	back := testkit.Eventually(t, 16*time.Second, "passing and OK after the return", func() bool {
		return s.registered(a) && s.registry.State().OK
	})
	publish(100 * time.Millisecond)
	testkit.Eventually(t, 5*time.Second, "every event", func() bool { return s.received.Load() == int64(sent) })
	t.Logf("%d of %d events, passing %v after the return", s.received.Load(), sent, back.Round(time.Millisecond))
	s.stop()
}

// Faults: T4.
func TestRegistrationReturnsAfterConsulLosesItsData(t *testing.T) {
	testkit.SkipIfShort(t)
	testkit.NoLeaks(t)
	a := consultest.Start(t)
	s, _ := startService(t, a)
	if err := s.registry.Register(registrytest.Service("without ttl", "forever")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 16*time.Second, "registered", func() bool {
		return s.registered(a) && len(a.Nodes("without ttl")) == 1
	})
	a.Kill()
	a.Start()
	a.Ready()
	if ids := a.Nodes("micro.http.broker"); len(ids) != 0 {
		t.Logf("already there when Consul was ready: %v", ids)
	}
	back := testkit.Eventually(t, 16*time.Second, "registered anew", func() bool {
		return s.registered(a) && len(a.Nodes("without ttl")) == 1
	})
	t.Logf("registered anew %v after the return", back.Round(time.Millisecond))
	if failed := publish(newPublisher(t, a), 10); failed > 0 {
		t.Errorf("%d of 10 events were not sent", failed)
	}
	testkit.Eventually(t, 5*time.Second, "10 of 10 events", func() bool { return s.received.Load() == 10 })
	s.stop()
}

// Faults: T5, Trap7.
func TestStopIsQuickWhileConsulIsFrozen(t *testing.T) {
	a, s := startWithConsul(t, consultest.Start)
	a.Freeze()
	// Some calls are to be in flight, as they would be.
	testkit.Eventually(t, 12*time.Second, "the freeze is noticed", func() bool { return !s.registry.State().OK })
	took := s.stop()
	t.Logf("stopped in %v", took.Round(time.Millisecond))
	if took > 2*time.Second {
		t.Errorf("stop took %v, want 2s at most", took)
	}
	a.Thaw()
}

// The end of Run's context alone has to do the same within the same time.
// Faults: T5.
func TestEndOfRunIsQuickWhileConsulIsFrozen(t *testing.T) {
	testkit.NoLeaks(t)
	a, r, stop := consultest.RunGuarded(t)
	for i := range 6 {
		if err := r.Register(registrytest.Service("svc", fmt.Sprint("node-", i)), registry.RegisterTTL(20*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, 16*time.Second, "registered", func() bool { return len(a.Nodes("svc")) == 6 })
	a.Freeze()
	start := time.Now()
	for range 1000 {
		if r.Register(registrytest.Service("svc", "node-0")) != nil || r.Deregister(registrytest.Service("svc", "node-1")) != nil {
			t.Fatal("a request failed")
		}
	}
	if took := time.Since(start); took > 2*time.Second { // one call that waits takes that long
		t.Errorf("2000 requests to a frozen registry took %v", took)
	}
	if took := stop(); took > 2*time.Second {
		t.Errorf("Run ended after %v, want 2s at most", took)
	}
	a.Thaw()
}
