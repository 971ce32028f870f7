package web

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
)

// maxAnswer is within what a stop and a removal must be answered.
const maxAnswer = 2 * time.Second

// timed makes a call and fails if the answer takes too long.
func (w *world) timed(c call) answer {
	w.t.Helper()
	begin := time.Now()
	a := w.do(c)
	if took := time.Since(begin); took > maxAnswer {
		w.t.Errorf("%s %s %q: answered after %v, want at most %v", c.method, c.path, c.body, took, maxAnswer)
	}
	return a
}

type stuckAction struct {
	entered chan struct{}
	release chan struct{}
	once    *sync.Once
}

func (a stuckAction) Notify(context.Context, []action.Notification) error {
	a.once.Do(func() { close(a.entered) })
	<-a.release
	return nil
}

// TestStuckProbesAndActionsDelayNoAnswer has both disobey their deadlines.
// Faults: T53.
func TestStuckProbesAndActionsDelayNoAnswer(t *testing.T) {
	stuck := stuckAction{make(chan struct{}), make(chan struct{}), new(sync.Once)}
	w := newWorld(t, options{actions: map[string]action.Kind{
		"http": func(decode func(any) error, _ action.Env) (action.Action, error) {
			return stuck, decode(&struct{}{})
		},
	}})
	probing := make(chan struct{}, 10)
	w.setProbe(func(context.Context) (probe.Result, error) {
		probing <- struct{}{}
		<-stuck.release
		return probe.Result{}, nil
	})
	for i := range 2 {
		w.want(registerCall(admin, fmt.Sprintf(`{"name":"m%d","interval":1,"probe":{"type":"tcp"},"actions":[{"type":"http"}]}`, i)), 200)
	}
	<-probing
	<-probing
	<-stuck.entered
	for _, c := range []call{wordCall(1, "stop"), wordCall(1, "start"), deleteCall(2), wordCall(1, "stop"), deleteCall(1)} {
		if a := w.timed(c); a.status != 200 {
			t.Errorf("%s %s: %d %q", c.method, c.path, a.status, a.body)
		}
	}
	if a := w.timed(call{method: "GET", path: "/list"}); a.body != "[]" {
		t.Errorf("list: %s", a.body)
	}
	close(stuck.release)
	testkit.Eventually(t, 10*time.Second, "the probes are closed", func() bool { return w.open.Load() == 0 })
}

// TestStuckCloseDelaysNoAnswer has the probe not even give back what it
// holds.
// Faults: T53.
func TestStuckCloseDelaysNoAnswer(t *testing.T) {
	w := newWorld(t, options{})
	for _, name := range []string{"a", "b"} {
		w.want(registerCall(admin, fmt.Sprintf(`{"name":%q,"interval":1,"probe":{"type":"tcp"}}`, name)), 200)
	}
	const id, other = 1, 2
	testkit.Eventually(t, 10*time.Second, "the probes ran", func() bool { return w.info(id).Probes > 0 && w.info(other).Probes > 0 })
	release := make(chan struct{})
	w.mu.Lock()
	w.close = func() error { <-release; return nil }
	w.mu.Unlock()
	w.timed(wordCall(id, "stop"))
	w.timed(deleteCall(other))
	w.timed(call{method: "GET", path: "/list"})
	w.timed(call{method: "GET", path: fmt.Sprint("/monitor/", id)})
	close(release)
	testkit.Eventually(t, 10*time.Second, "changes are made again", func() bool {
		a := w.do(deleteCall(id))
		return a.status == 200 || a.status == 404
	})
	testkit.Eventually(t, 10*time.Second, "all is given back", func() bool { return w.open.Load() == 0 && len(w.group.List(monitor.Filter{})) == 0 })
}

// TestChangesUnderWayAreBounded fills all slots.
func TestChangesUnderWayAreBounded(t *testing.T) {
	w := newWorld(t, options{})
	release := make(chan struct{})
	for range maxChanges {
		if _, err := within(w.server, time.Millisecond, func() (int, error) { <-release; return 0, nil }); statusOf(err) != 503 {
			t.Fatalf("a change that takes too long: %v", err)
		}
	}
	ran := false
	_, err := within(w.server, time.Millisecond, func() (int, error) { ran = true; return 0, nil })
	if statusOf(err) != 503 || ran {
		t.Errorf("one change too many: %v, ran %v", err, ran)
	}
	close(release)
	if n, err := within(w.server, 10*time.Second, func() (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Errorf("afterwards: %v, %v", n, err)
	}
}

func TestAPanicOfAChangeIsAnAnswer(t *testing.T) {
	w := newWorld(t, options{group: func(c *monitor.Config) {
		c.Probes["tcp"] = func(func(any) error, probe.Env) (probe.Probe, error) {
			panic("a kind of somebody else's")
		}
	}})
	w.want(registerCall(admin, definition("a")), 500, "see the log of the service")
	w.want(call{method: "GET", path: "/list"}, 200, "[]")
	w.want(registerCall(admin, `{"name":"b","probe":{"type":"dns"}}`), 200)
}
