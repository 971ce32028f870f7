package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
)

// transition is one line of History, as far as the tests read it.
type transition struct {
	ID      string `json:"id"`
	From    string `json:"from"`
	To      string `json:"to"`
	Why     string `json:"why"`
	Service struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"service"`
}

// history returns the transitions of the sample service, newest first.
func (m *subject) history() []transition {
	m.t.Helper()
	return m.historyOf("go-server")
}

func (m *subject) historyOf(service string) []transition {
	m.t.Helper()
	var a struct {
		Transitions []transition `json:"transitions"`
	}
	if err := m.call("Monitor.History", fmt.Sprintf(`{"service": %q, "limit": 1000}`, service), &a); err != nil && !isNotFound(err) {
		m.t.Error(err)
	}
	return a.Transitions
}

// sampleInterval is how often the sample reports, sampleGrace what silence is
// forgiven on top of that.
const (
	sampleInterval = 10 * time.Second
	sampleGrace    = 5 * time.Second
)

// startSample starts the sample service and waits until its checks are there.
func startSample(t *testing.T, c *consultest.Agent, m *subject) *process {
	t.Helper()
	p := start(t, nil, binary(t, "pingpong"), "--registry=consul", "--registry_address="+c.Address())
	testkit.Eventually(t, 30*time.Second, "the sample's checks are there", func() bool {
		return m.checks(`{"service": "go-server"}`).Total == 2
	})
	return p
}

func TestKilledPublisherIsUnknownInTime(t *testing.T) {
	testkit.SkipIfShort(t)
	c, m := startWithConsul(t)
	startSample(t, c, m).kill()
	took := testkit.Eventually(t, ample, "both checks are UNKNOWN", func() bool {
		return m.checks(`{"service": "go-server", "statuses": [0]}`).Total == 2
	})
	t.Logf("UNKNOWN %v after the kill", took)
	for _, hc := range m.checks(`{"service": "go-server"}`).HealthChecks {
		if hc.Status != 0 || hc.Reported == 0 || hc.Results["msg"] == "" {
			t.Errorf("the last report is not shown: %+v", hc)
		}
	}
	// How fast this machine answers is not judged here, but when the instance judged.
	silent := 0
	for _, tr := range m.history() {
		if tr.To == "UNKNOWN" && tr.ID != "" && (tr.Why == "no report for 15s (interval 10s)" || tr.Why == "no report for 16s (interval 10s)") {
			silent++
		}
	}
	if silent != 2 {
		t.Errorf("History does not say why: %+v", m.history())
	}
}

func TestCleanStopRaisesNothing(t *testing.T) {
	testkit.SkipIfShort(t)
	c, m := startWithConsul(t)
	p := startSample(t, c, m)
	p.signal(syscall.SIGTERM)
	<-p.done
	testkit.Eventually(t, ample, "STOPPED is there", func() bool {
		h := m.history()
		return len(h) > 0 && h[0].To == "STOPPED"
	})
	// The checks go from the list when they would fall silent.
	testkit.Eventually(t, ample, "the checks are off the list", func() bool {
		return m.checks(`{"service": "go-server"}`).Total == 0
	})
	for _, tr := range m.history() {
		if tr.To == "MISSING" || tr.To == "UNKNOWN" {
			t.Errorf("a clean stop raised %+v", tr)
		}
	}
}

// T17, short: while the instance itself is frozen its publishers are not judged.
// Faults: T17.
func TestFrozenInstanceMarksNoPublisherStale(t *testing.T) {
	testkit.SkipIfShort(t)
	c, m := startWithConsul(t)
	startSample(t, c, m)
	m.signal(syscall.SIGSTOP)
	time.Sleep(25 * time.Second) // longer than any report may be late
	m.signal(syscall.SIGCONT)
	testkit.Eventually(t, 16*time.Second, "registered again", func() bool { return isPassing(c, srv) })
	time.Sleep(2 * time.Second)
	for _, tr := range m.history() {
		if tr.To == "UNKNOWN" || tr.To == "MISSING" {
			t.Errorf("the frozen instance judged %+v", tr)
		}
	}
	if got := fmt.Sprint(m.checks(`{"service": "go-server"}`).Total); got != "2" {
		t.Errorf("%s checks are listed", got)
	}
}

// After a restart the instance says since when it has listened, so that an
// empty answer is not taken for an empty fleet, and each publisher is there again
// with its next report.
// Faults: A18.
func TestRestartedInstanceSaysSoAndReceivesAgain(t *testing.T) {
	testkit.SkipIfShort(t)
	c, m := startWithConsul(t)
	startSample(t, c, m)
	started := func(m *subject) int64 {
		var a struct {
			Started int64 `json:"started"`
		}
		if err := m.call("Monitor.Services", "{}", &a); err != nil {
			t.Error(err)
		}
		return a.Started
	}
	before := started(m)
	m.kill()
	// The answer counts in seconds.
	testkit.Eventually(t, ample, "the next second", func() bool { return time.Now().Unix() > before })
	m = startMonitor(t, "--registry_address", c.Address())
	m.ready(ample)
	if after := started(m); after <= before {
		t.Errorf("started %d, before the restart %d", after, before)
	}
	// The publisher learns of the new subscriber through Consul, then reports.
	testkit.Eventually(t, ample, "the sample is there again", func() bool {
		return m.checks(`{"service": "go-server"}`).Total == 2
	})
}
