package service

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/store"
)

// TestMonitorsContinueFromTheSnapshotOfAStop ends monitors in order and starts them again:
// they are what they were before any of them is probed.
// Faults: T49, U1.
func TestMonitorsContinueFromTheSnapshotOfAStop(t *testing.T) {
	conf, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
	testkit.WriteFile(t, filepath.Join(conf, "a.toml"), "[[monitor]]\nname = \"a\"\ninterval = 1\nprobe = { type = \"tcp\", address = \"127.0.0.1:1\" }\n"+
		"[[monitor]]\nname = \"stopped\"\ninterval = 1\nprobe = { type = \"tcp\", address = \"127.0.0.1:1\" }\n")
	begin := func() *monitors {
		s := store.New(store.Config{})
		m, err := newMonitors(t.Context(), monitorsConfig{
			configDir: conf, stateDir: state, log: testkit.QuietLog(),
			recorder: recorder{store: s, service: "monitor", version: "1", node: "monitor-1"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	checks := func(m *monitors) int {
		page, _ := m.state.store.Checks(store.Query{Missing: true})
		return page.Total
	}
	m := begin()
	var running sync.WaitGroup
	run := func(run func(context.Context) error) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		running.Go(func() { _ = run(ctx) })
		return cancel
	}
	stopState, stopGroup := run(m.runState), run(m.group.Run)
	testkit.Eventually(t, 10*time.Second, "both are probed", func() bool { return checks(m) == 2 })
	if err := m.group.Stop(2); err != nil {
		t.Fatal(err)
	}
	stopGroup()
	testkit.Eventually(t, 10*time.Second, "it has ended", func() bool { return !m.group.List(monitor.Filter{})[0].Running })
	before := m.group.List(monitor.Filter{})
	stopState()
	running.Wait()
	m.close()

	m = begin()
	defer m.close()
	after := m.group.List(monitor.Filter{})
	for i, was := range before {
		is := after[i]
		if is.ID != was.ID || is.Probes != was.Probes || is.Failing != was.Failing || is.Error != was.Error || !is.LastProbe.Equal(was.LastProbe) || !is.StoppedAt.Equal(was.StoppedAt) {
			t.Errorf("it was %+v and is %+v", was, is)
		}
	}
	if n := checks(m); n != 1 {
		t.Errorf("%d checks are restored, want that of the monitor that runs", n)
	}
}
