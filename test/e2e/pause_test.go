package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/natstest"
)

// TestNightlyJobIsOKWhateverTheClockSays: a job that publishes once a day was heard once.
// Then the instance is killed and starts with another clock. Its monitor stays OK, and
// nobody is notified.
// Faults: U1, T16.
func TestNightlyJobIsOKWhateverTheClockSays(t *testing.T) {
	program := faultyProgram(t)
	const day = 86400
	for name, c := range map[string]struct {
		boots   bool
		offset  int // of the clock after the restart
		atLeast time.Duration
		atMost  time.Duration
	}{
		"the clock is set back":                   {false, -3600, 0, time.Minute},
		"another boot":                            {true, 0, 0, time.Minute},
		"another boot, and the clock is set back": {true, -3600, 0, time.Minute},
		"another boot a day later":                {true, day, day * time.Second, day*time.Second + time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus, w := natstest.Start(t, nil), newWorld(t)
			conn, err := nats.Connect(bus.URL())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			state, offset := t.TempDir()+"/state", t.TempDir()+"/offset"
			dir := configDir(t, monitorTOML("nightly", "event", "service = \"shop\"\ncheck = \"backup\"")+
				fmt.Sprintf("[[monitor.actions]]\ntype = \"http\"\nurl_fail = %q\nurl_recover = %q\n", w.url+"/told", w.url+"/told"))
			run := func(offsetIs int, words ...string) *subject {
				testkit.ReplaceFile(t, offset, fmt.Sprint(offsetIs))
				m := &subject{http: testkit.FreeAddress(t)}
				words = append(words, program, "--http_address", m.http, "--server_address", "127.0.0.1:0",
					"--registry", "memory", "--broker", "nats", "--broker_address", bus.Address(), "--state_dir", state, "-d", dir)
				m.process = start(t, []string{"FAULT_CLOCK=" + offset}, words[0], words[1:]...)
				m.ready(ample)
				return m
			}
			m := run(0)
			publish(t, conn, health.TopicHealthCheck, "job", fmt.Sprintf(`"id": "backup", "status": 1, "interval": %d, "ttl": %d`, day, 2*day))
			testkit.Eventually(t, ample, "the monitor is OK", func() bool { return m.listed()["nightly"].State == "OK" })
			snapshotAfter(t, state, time.Now())
			probes := m.listed()["nightly"].Probes
			m.kill()
			var words []string
			if c.boots {
				words = inAnotherBoot(t)
			}
			m = run(c.offset, words...)
			for range 20 {
				if one := m.listed()["nightly"]; one.State != "OK" || one.Failures != 0 {
					t.Fatalf("after the restart the monitor is %+v", one)
				}
				time.Sleep(250 * time.Millisecond)
			}
			if now := m.listed()["nightly"].Probes; now <= probes-12 {
				t.Errorf("there were %d probes, and are %d", probes, now)
			}
			detail := m.checks(`{"id": "monitor.nightly"}`).HealthChecks[0].Results["detail"]
			said := regexp.MustCompile(`published by "job" (\S+) ago`).FindStringSubmatch(detail)
			if said == nil {
				t.Fatalf("the monitor says %q", detail)
			}
			if age, err := time.ParseDuration(said[1]); err != nil || age < c.atLeast || age > c.atMost {
				t.Errorf("the monitor says %q, want an age from %v to %v", detail, c.atLeast, c.atMost)
			}
			m.stopsInOrder(t)
			if told := w.tellings(); len(told) > 0 {
				t.Errorf("notified of %+v", told)
			}
		})
	}
}

// TestOnlyTheDeadAlarmAfterAPause: while the instance is down, 10 of 200 nodes die, 10
// stop, and 10 start. Each has a monitor. The broker delivers what the stopped ones said
// once the instance is back.
// Faults: U1, T14.
func TestOnlyTheDeadAlarmAfterAPause(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	down := testkit.Scale(10*time.Second, 5*time.Minute)
	var nodes []string
	for n := range 210 {
		nodes = append(nodes, fmt.Sprintf("node-%03d", n))
	}
	before, dead, stopped, after := nodes[:200], nodes[:10], nodes[10:20], nodes[20:]
	bus, w := natstest.Start(t, nil), newWorld(t)
	conn, err := nats.Connect(bus.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	report := func(nodes []string) {
		for _, node := range nodes {
			publish(t, conn, health.TopicStatus, node, `"status": 2, "interval": 5, "ttl": 600`)
			publish(t, conn, health.TopicHealthCheck, node, `"id": "db", "status": 1, "interval": 5, "ttl": 600`)
		}
	}
	monitors := func(nodes []string) string {
		text := opsReceiver(w.url, "fail", "recover")
		for _, node := range nodes {
			text += monitorTOML(node, "event", fmt.Sprintf("service = \"shop\"\ncheck = \"db\"\nnode = %q", node)) + "[[monitor.actions]]\nreceiver = \"ops\"\n"
		}
		return text
	}
	dir, state := t.TempDir(), t.TempDir()+"/state"
	args := []string{"--registry", "memory", "--broker", "nats", "--broker_address", bus.Address(), "--state_dir", state, "-d", dir}
	testkit.ReplaceFile(t, dir+"/a.toml", monitors(before))
	m := startMonitor(t, args...)
	m.ready(ample)
	live := func(nodes []string, until func() bool) {
		t.Helper()
		reported := time.Time{}
		testkit.Eventually(t, 4*ample, "it has happened", func() bool {
			if time.Since(reported) >= 5*time.Second {
				report(nodes)
				reported = time.Now()
			}
			return until()
		})
	}
	live(before, func() bool { return len(failing(t, m)) == 0 })
	known := time.Now()
	live(before, func() bool { return snapshotIsAfter(state, known) })
	m.kill()
	testkit.ReplaceFile(t, dir+"/a.toml", monitors(nodes))
	time.Sleep(down)

	m = startMonitor(t, args...)
	m.ready(ample)
	for _, node := range stopped {
		publish(t, conn, health.TopicStatus, node, `"status": 3, "interval": 5, "ttl": 600`)
	}
	live(after, func() bool { return len(w.tellings()) >= len(dead) })
	told := time.Now()
	live(after, func() bool { return time.Since(told) > 20*time.Second })
	var alarms []string
	for _, n := range w.tellings() {
		alarms = append(alarms, n.monitor+" "+n.event)
	}
	slices.Sort(alarms)
	if want := strings.Join(dead, " fail, ") + " fail"; strings.Join(alarms, ", ") != want {
		t.Errorf("notified of %q, want %q", alarms, want)
	}
	m.stopsInOrder(t)
}
