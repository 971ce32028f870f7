package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
)

// The promises of a start and a stop. The instance under test is built with the
// race detector, which only makes them harder to keep. The tests of the first are
// not parallel to others of this package.
const (
	startWithin = 3 * time.Second
	stopWithin  = 10 * time.Second
)

// What tests something else has ample time: the machine may be busy.
const ample = 30 * time.Second

// stopsInOrder ends the instance and checks that it ends in time and in order.
func (m *subject) stopsInOrder(t *testing.T) {
	t.Helper()
	took, err := m.terminate()
	if took > stopWithin || err != nil {
		t.Errorf("SIGTERM to exit took %v (%v), want less than %v and no error", took, err, stopWithin)
	}
}

func TestServesWithConsul(t *testing.T) {
	c := consultest.Start(t)
	m := startMonitor(t, "--registry_address", c.Address())
	m.ready(startWithin)
	testkit.Eventually(t, 5*time.Second, "Consul says passing", func() bool { return isPassing(c, srv) })
	testkit.Eventually(t, 15*time.Second, "it tells its own status and checks", func() bool {
		return m.checks(`{"service": "`+srv+`"}`).Total == 6
	})
	for _, c := range m.checks(`{"service": "` + srv + `"}`).HealthChecks {
		if c.Status != 1 {
			t.Errorf("%s is %d: %s", c.ID, c.Status, c.Error)
		}
	}
	m.stopsInOrder(t)
	if isPassing(c, srv) {
		t.Error("Consul still knows the instance after it ended")
	}
}

// The TTL and interval asked for are those in effect, although go-micro's own
// command line would replace them by 60 s and 30 s.
// Faults: Trap13, Trap14.
func TestRegisterTTLIsEffective(t *testing.T) {
	testkit.SkipIfShort(t)
	c, m := startWithConsul(t)
	testkit.Eventually(t, ample, "registered", func() bool { return isPassing(c, srv) })
	m.signal(syscall.SIGSTOP)
	// Consul measures from the last sign of life, at most 5 s ago.
	took := testkit.Eventually(t, 30*time.Second, "critical after the TTL", func() bool { return !isPassing(c, srv) })
	if took < 14*time.Second || took > 23*time.Second {
		t.Errorf("critical %v after the last sign of life, want about 15s to 20s", took)
	}
	m.signal(syscall.SIGCONT)
	testkit.Eventually(t, 16*time.Second, "passing again", func() bool { return isPassing(c, srv) })
}

// Faults: T1.
func TestInstanceRegistersOnceConsulAppears(t *testing.T) {
	c := consultest.New(t)
	m := startMonitor(t, "--registry_address", c.Address())
	t.Logf("ready after %v", m.ready(startWithin))
	testkit.Eventually(t, ample, "/healthz says why", func() bool { return strings.Contains(m.component("registry").Reason, "refused") })
	if code, report := m.ask("/healthz"); code != http.StatusOK || report.Status != "degraded" {
		t.Errorf("/healthz is %d %q", code, report.Status)
	}
	c.Start()
	testkit.Eventually(t, 16*time.Second, "registered", func() bool { return isPassing(c, srv) })
	m.stopsInOrder(t)
}

// Without Consul nobody can be told, but the instance knows of itself.
// Faults: T1.
func TestInstanceServesWithoutConsul(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	m := startMonitor(t, "--registry_address", consultest.New(t).Address())
	m.ready(ample)
	testkit.Eventually(t, ample, "it knows its own checks", func() bool { return m.checks(`{}`).Total == 5 })
	time.Sleep(sampleInterval + sampleGrace + 2*time.Second) // until a report would be late
	for _, hc := range m.checks(`{}`).HealthChecks {
		want := 1
		if hc.ID == srv+".registry" {
			want = 2
		}
		if hc.Status != want {
			t.Errorf("%s is %d, want %d", hc.ID, hc.Status, want)
		}
	}
	for _, tr := range m.historyOf(srv) {
		if tr.To == "UNKNOWN" {
			t.Errorf("the instance lost sight of itself: %+v", tr)
		}
	}
	m.stopsInOrder(t)
}

// Faults: T2, T5.
func TestFrozenConsulDelaysNeitherStartNorStop(t *testing.T) {
	testkit.SkipIfShort(t)
	c := consultest.Start(t)
	c.Freeze()
	m := startMonitor(t, "--registry_address", c.Address())
	t.Logf("ready after %v", m.ready(startWithin))
	testkit.Eventually(t, ample, "/healthz says why", func() bool { return strings.Contains(m.component("registry").Reason, "no answer within") })
	m.stopsInOrder(t)
}

// Faults: T5.
func TestConsulFreezingWhileServingDelaysNoStop(t *testing.T) {
	testkit.SkipIfShort(t)
	c, m := startWithConsul(t)
	testkit.Eventually(t, ample, "registered", func() bool { return isPassing(c, srv) })
	c.Freeze()
	testkit.Eventually(t, ample, "/healthz says why", func() bool { return strings.Contains(m.component("registry").Reason, "no answer within") })
	m.stopsInOrder(t)
}

// Faults: T3, T4.
func TestInstanceRegistersAgainWithAnEmptyConsul(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	dir := configDir(t, monitorTOML("true", "exec", `command = "/bin/true"`))
	c := consultest.Start(t)
	m := startMonitor(t, "--registry_address", c.Address(), "-d", dir)
	m.ready(ample)
	testkit.Eventually(t, ample, "registered", func() bool { return isPassing(c, srv) })
	startSample(t, c, m)
	before, probes, died := m.checks(`{}`).Total, probesOf(t, m, "true"), time.Now()
	c.Kill()
	testkit.Eventually(t, 20*time.Second, "/healthz says so", func() bool { return !m.component("registry").OK })
	// Long enough for each of the sample's reports to be late, if one were lost.
	time.Sleep(time.Until(died.Add(2*sampleInterval + sampleGrace)))
	away := time.Since(died)
	if got := m.checks(`{}`).Total; got < before {
		t.Errorf("without Consul the answer has %d checks, had %d", got, before)
	}
	if ran, want := float64(probesOf(t, m, "true")-probes), away.Seconds(); ran < want-2 || ran > want+2 {
		t.Errorf("%v probes in %v without Consul, want one a second", ran, away)
	}
	for _, tr := range append(m.history(), m.historyOf(srv)...) {
		if tr.To == "UNKNOWN" || tr.To == "MISSING" {
			t.Errorf("without Consul an event was lost: %+v", tr)
		}
	}
	c.Start() // a dev agent keeps nothing
	took := testkit.Eventually(t, 16*time.Second, "registered again", func() bool { return isPassing(c, srv) })
	t.Logf("registered again after %v", took)
	testkit.Eventually(t, 16*time.Second, "all three subscriptions again", func() bool {
		return len(c.Nodes("micro.http.broker")) == 3
	})
}

// SIGTERM lets a call in flight end: one that waits is answered when it would have
// been without.
func TestStopAnswersCallsInFlight(t *testing.T) {
	t.Parallel()
	m := startMonitor(t, "--registry", "memory")
	m.ready(ample)
	var now struct {
		Seq int64 `json:"seq"`
		Gap bool  `json:"gap"`
	}
	// A gap is told at once.
	if err := m.call("Monitor.Watch", `{"since_seq": 9000000000000000, "wait": 2, "instance": "x"}`, &now); err != nil || !now.Gap || now.Seq == 0 {
		t.Fatalf("%+v, %v", now, err)
	}
	const wait = 3 * time.Second
	answered, began := make(chan error, 1), time.Now()
	go func() {
		request := fmt.Sprintf(`{"since_seq": %d, "wait": %d, "service": "nobody"}`, now.Seq, wait/time.Second)
		answered <- m.call("Monitor.Watch", request, &now)
	}()
	time.Sleep(time.Second) // real time: the call has to be under way in another process
	m.stopsInOrder(t)
	err := <-answered
	if took := time.Since(began); err != nil || took < wait {
		t.Errorf("the call in flight ended after %v, want %v (%v)", took, wait, err)
	}
}

// Faults: Trap13.
func TestKilledProcessComesBack(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	c := consultest.Start(t)
	rpc := testkit.FreeAddress(t)
	m := startMonitor(t, "--registry_address", c.Address(), "--server_address", rpc)
	m.ready(ample)
	testkit.Eventually(t, ample, "registered", func() bool { return isPassing(c, srv) })
	m.kill()
	m = startMonitor(t, "--registry_address", c.Address(), "--server_address", rpc)
	m.ready(ample)
	testkit.Eventually(t, 5*time.Second, "micro call answers", func() bool {
		_, _, code := m.micro("call", srv, "Monitor.HealthChecks", "{}")
		return code == 0
	})
	testkit.Eventually(t, 30*time.Second, "the dead node is critical", func() bool {
		_, report := m.ask("/healthz")
		return slices.Equal(c.Nodes(srv), []string{report.Instance})
	})
}
