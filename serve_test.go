package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The promises of a start and a stop. The instance under test is built with the
// race detector, which only makes them harder to keep.
const (
	startWithin = 3 * time.Second
	stopWithin  = 10 * time.Second
)

// sendsTERM ends the instance and checks that it ends in time and in order.
func (m *subject) stopsInOrder(t *testing.T) {
	t.Helper()
	took, err := m.terminate()
	if took > stopWithin || err != nil {
		t.Errorf("SIGTERM to exit took %v (%v), want less than %v and no error", took, err, stopWithin)
	}
}

func TestServesWithConsul(t *testing.T) {
	t.Parallel()
	c := startConsul(t)
	m := startMonitor(t, "--registry_address", c.address)
	m.ready(startWithin)
	eventually(t, 5*time.Second, "Consul says passing", func() bool { return c.passing(srv) })
	var checks map[string]struct{ Definition struct{ Status string } }
	if err := c.get("/v1/agent/checks", &checks); err != nil {
		t.Fatal(err)
	}
	eventually(t, 15*time.Second, "it tells its own status and checks", func() bool {
		return m.checks(`{"service": "`+srv+`"}`).Total == 5
	})
	for _, c := range m.checks(`{"service": "` + srv + `"}`).HealthChecks {
		if c.Status != 1 {
			t.Errorf("%s is %d: %s", c.ID, c.Status, c.Error)
		}
	}
	m.stopsInOrder(t)
	if c.passing(srv) {
		t.Error("Consul still knows the instance after it ended")
	}
}

// The TTL and interval asked for are those in effect, although go-micro's own
// command line would replace them by 60 s and 30 s.
func TestRegisterTTLIsEffective(t *testing.T) {
	t.Parallel()
	c := startConsul(t)
	m := startMonitor(t, "--registry_address", c.address)
	m.ready(startWithin)
	eventually(t, 5*time.Second, "registered", func() bool { return c.passing(srv) })
	m.signal(syscall.SIGSTOP)
	// Consul measures from the last sign of life, at most 5 s ago.
	took := eventually(t, 30*time.Second, "critical after the TTL", func() bool { return !c.passing(srv) })
	if took < 14*time.Second || took > 23*time.Second {
		t.Errorf("critical %v after the last sign of life, want about 15s to 20s", took)
	}
	m.signal(syscall.SIGCONT)
	eventually(t, 16*time.Second, "passing again", func() bool { return c.passing(srv) })
}

func TestT1ConsulDownAtStart(t *testing.T) {
	t.Parallel()
	c := newConsul(t)
	m := startMonitor(t, "--registry_address", c.address)
	t.Logf("ready after %v", m.ready(startWithin))
	code, report := m.ask("/healthz")
	if p := m.part("registry"); code != http.StatusOK || p.OK || report.Status != "degraded" || !strings.Contains(p.Reason, "refused") {
		t.Errorf("/healthz is %d %q and its registry %+v", code, report.Status, p)
	}
	c.start(t)
	eventually(t, 16*time.Second, "registered", func() bool { return c.passing(srv) })
	m.stopsInOrder(t)
}

func TestT1StopWithConsulDown(t *testing.T) {
	t.Parallel()
	m := startMonitor(t, "--registry_address", newConsul(t).address)
	m.ready(startWithin)
	m.stopsInOrder(t)
}

func TestT2T5ConsulFrozen(t *testing.T) {
	t.Parallel()
	c := startConsul(t)
	c.signal(syscall.SIGSTOP)
	m := startMonitor(t, "--registry_address", c.address)
	t.Logf("ready after %v", m.ready(startWithin))
	eventually(t, 10*time.Second, "/healthz names the registry", func() bool { return m.part("registry").Reason != "" })
	m.stopsInOrder(t)
}

func TestT5ConsulFreezesWhileServing(t *testing.T) {
	t.Parallel()
	c := startConsul(t)
	m := startMonitor(t, "--registry_address", c.address)
	m.ready(startWithin)
	eventually(t, 5*time.Second, "registered", func() bool { return c.passing(srv) })
	c.signal(syscall.SIGSTOP)
	eventually(t, 20*time.Second, "/healthz says so", func() bool { return !m.part("registry").OK })
	m.stopsInOrder(t)
}

func TestT3T4ConsulDiesAndComesBackEmpty(t *testing.T) {
	t.Parallel()
	c := startConsul(t)
	m := startMonitor(t, "--registry_address", c.address)
	m.ready(startWithin)
	eventually(t, 5*time.Second, "registered", func() bool { return c.passing(srv) })
	before := m.checks(`{}`).Total
	c.kill()
	eventually(t, 20*time.Second, "/healthz says so", func() bool { return !m.part("registry").OK })
	if got := m.checks(`{}`).Total; got < before {
		t.Errorf("without Consul the answer has %d checks, had %d", got, before)
	}
	c.start(t) // a dev agent keeps nothing
	took := eventually(t, 16*time.Second, "registered again", func() bool { return c.passing(srv) })
	t.Logf("registered again after %v", took)
	var subscribers []json.RawMessage
	eventually(t, 16*time.Second, "all three subscriptions again", func() bool {
		return c.get("/v1/health/service/micro.http.broker?passing", &subscribers) == nil && len(subscribers) == 3
	})
}

// SIGTERM lets a call in flight end.
func TestStopAnswersCallsInFlight(t *testing.T) {
	t.Parallel()
	m := startMonitor(t, "--registry", "memory")
	m.ready(startWithin)
	m.rpcAddress()
	type outcome struct {
		err  error
		took time.Duration
	}
	answered := make(chan outcome, 1)
	began := time.Now()
	go func() {
		var a struct{ Seq int64 }
		err := m.call("Monitor.Watch", `{"since_seq": 9000000000000000, "wait": 2, "instance": "x"}`, &a)
		if err == nil && a.Seq > 0 {
			// The gap was told at once; now wait for what comes next.
			err = m.call("Monitor.Watch", `{"since_seq": `+itoa(a.Seq)+`, "wait": 2, "service": "nobody"}`, &a)
		}
		answered <- outcome{err, time.Since(began)}
	}()
	time.Sleep(500 * time.Millisecond) // real time: the call has to be under way in another process
	m.stopsInOrder(t)
	if o := <-answered; o.err != nil {
		t.Errorf("the call in flight got %v after %v", o.err, o.took)
	}
}

func TestKilledProcessComesBack(t *testing.T) {
	t.Parallel()
	c := startConsul(t)
	rpc := freePorts(t, 1)[0]
	m := startMonitor(t, "--registry_address", c.address, "--server_address", rpc)
	m.ready(startWithin)
	eventually(t, 5*time.Second, "registered", func() bool { return c.passing(srv) })
	m.kill()
	m = startMonitor(t, "--registry_address", c.address, "--server_address", rpc)
	m.ready(startWithin)
	eventually(t, 5*time.Second, "micro call answers", func() bool {
		_, _, code := m.micro("call", srv, "Monitor.HealthChecks", "{}")
		return code == 0
	})
	eventually(t, 30*time.Second, "the dead node is critical", func() bool {
		var entries []struct{ Service struct{ ID string } }
		_, report := m.ask("/healthz")
		return c.get("/v1/health/service/"+srv+"?passing", &entries) == nil &&
			len(entries) == 1 && entries[0].Service.ID == report.Instance
	})
}
