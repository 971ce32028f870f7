package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/natstest"
)

// publish publishes JSON about a node of service "shop".
func publish(t *testing.T, conn *nats.Conn, topic, node, fields string) {
	t.Helper()
	body := fmt.Sprintf(`{"service": {"name": "shop", "version": "1", "nodes": [{"id": %q}]}, "timestamp": %d, %s}`, node, time.Now().Unix(), fields)
	envelope, err := json.Marshal(&broker.Message{Header: map[string]string{"Content-Type": "application/json"}, Body: []byte(body)})
	if err = errors.Join(err, conn.Publish(topic, envelope), conn.Flush()); err != nil {
		t.Fatal(err)
	}
}

// count returns how often files of a directory, whose names begin so, contain a text.
func count(t *testing.T, dir, name, text string) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, name+"*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, _ := os.ReadFile(file) // it may be gone
		n += strings.Count(string(content), text)
	}
	return n
}

// TestTheViewSurvivesAKill: after kill -9 and a pause, checks are there in the status that
// they had, with their true ages, nothing is a transition, and the monitor of a nightly job
// stays OK. A node that said that it stops just before the kill is stopped.
// Faults: U1, T22.
func TestTheViewSurvivesAKill(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	bus := natstest.Start(t, nil)
	conn, err := nats.Connect(bus.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	state := filepath.Join(t.TempDir(), "state")
	args := []string{
		"--registry", "memory", "--broker", "nats", "--broker_address", bus.Address(), "--state_dir", state, "--log_format", "json",
		"-d", configDir(t, monitorTOML("nightly", "event", "service = \"shop\"\ncheck = \"backup\"")),
	}
	m := startMonitor(t, args...)
	m.ready(ample)
	const running = `"status": 2, "interval": 60, "ttl": 600`
	publish(t, conn, health.TopicHealthCheck, "job", `"id": "backup", "status": 1, "interval": 86400, "ttl": 172800`)
	publish(t, conn, health.TopicHealthCheck, "n", `"id": "db", "status": 2, "error": "refused", "interval": 60, "ttl": 600`)
	publish(t, conn, health.TopicHealthCheck, "ends", `"id": "db", "status": 1, "interval": 60, "ttl": 600`)
	publish(t, conn, health.TopicStatus, "ends", running)
	published := time.Now()
	monitorOK := func() check {
		found := m.checks(`{"id": "monitor.nightly"}`).HealthChecks
		if len(found) != 1 || found[0].Status != 1 {
			return check{}
		}
		return found[0]
	}
	testkit.Eventually(t, ample, "the monitor is OK", func() bool { return monitorOK().ID != "" })
	testkit.Eventually(t, ample, "a snapshot is written", func() bool { return count(t, state, "snapshot-", "backup") > 0 })
	written := count(t, state, "journal", "ends")
	publish(t, conn, health.TopicStatus, "ends", `"status": 3, "interval": 60, "ttl": 600`)
	testkit.Eventually(t, ample, "the stop is in the journal", func() bool { return count(t, state, "journal", "ends") > written })
	before := m.historyOf("shop")
	m.kill()
	time.Sleep(3 * time.Second) // down

	m = startMonitor(t, args...)
	m.ready(ample)
	var got []string
	for _, c := range m.checks(`{"service": "shop"}`).HealthChecks {
		got = append(got, fmt.Sprint(c.Service.ID, " ", c.ID, " ", c.Status, " ", c.Error))
	}
	if want := []string{"job backup 1 ", "n db 2 refused"}; strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("after the restart there are %q, want %q", got, want)
	}
	var detail string
	testkit.Eventually(t, ample, "the monitor has probed", func() bool {
		detail = monitorOK().Results["detail"]
		return detail != ""
	})
	age := regexp.MustCompile(`published by "job" (\S+) ago`).FindStringSubmatch(detail)
	if age == nil {
		t.Fatalf("the monitor says %q", detail)
	}
	told, err := time.ParseDuration(age[1])
	if actual := time.Since(published); err != nil || told < 3*time.Second || told > actual+time.Second || told < actual-10*time.Second {
		t.Errorf("the monitor says %q, want %s ago", detail, actual)
	}
	after := m.historyOf("shop")
	kept := len(after) - len(before)
	if kept < 0 || kept > 1 || fmt.Sprint(after[kept:]) != fmt.Sprint(before) {
		// The stop itself may be lost with the ring, and is seen again.
		t.Errorf("the history is %+v, before it was %+v", after, before)
	}
	for _, x := range m.historyOf("go.micro.srv.monitor") {
		if x.ID == "monitor.nightly" && x.Why != "first report" {
			t.Errorf("the monitor has changed: %+v", x)
		}
	}
	m.stopsInOrder(t)
	if strings.Contains(m.output(), "cannot be used") {
		t.Errorf("logged %s", m.output())
	}
}
