package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// scripted is a web server whose answer to each probe depends on how many there were, and
// a receiver that notes how many there were when it was notified.
type scripted struct {
	url string

	mu       sync.Mutex // guards all that follows
	probes   map[string]int
	told     []string // monitor, event, value and probes
	restarts int
	refuse   bool
	hanging  chan struct{} // closed at the end
}

func newScripted(t *testing.T) *scripted {
	s := &scripted{probes: map[string]int{}, hanging: make(chan struct{})}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(s.hanging) })
	s.url = server.URL
	return s
}

// windowSize is the size of the window of the filter in recallMonitors.
const windowSize = 10

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	name := r.URL.Path[1:]
	if name == "told" {
		defer s.mu.Unlock()
		name = r.FormValue("monitor")
		if s.refuse && name == "pending" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		s.told = append(s.told, strings.TrimSpace(fmt.Sprint(name, " ", r.FormValue("event"), " ", r.FormValue("value"), " ", s.probes[name])))
		return
	}
	s.probes[name]++
	n, restarts := s.probes[name], s.restarts
	s.mu.Unlock()
	value, status := 0, http.StatusOK
	switch {
	case name == "window" && restarts == 0:
		value = 100
	case name == "streak" && n > 2 && restarts == 0: // the third result is that of the next run
		select {
		case <-s.hanging:
		case <-r.Context().Done():
		}
	case name == "streak", name == "open" && restarts < 2, name == "pending":
		status = http.StatusInternalServerError
	}
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, value)
}

// notified returns what was told of a monitor.
func (s *scripted) notified(monitor string) (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.told {
		if rest, ok := strings.CutPrefix(line, monitor+" "); ok {
			all = append(all, rest)
		}
	}
	return all
}

func (s *scripted) probed(monitor string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probes[monitor]
}

// restarted makes the targets answer as they do after the next start.
func (s *scripted) restarted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restarts++
	s.refuse = false
}

// monitors are the monitors of TestMonitorsGoOnAfterARestart.
func (s *scripted) monitors() string {
	one := func(name, keys, probe, more string) string {
		return fmt.Sprintf("[[monitor]]\nname = %q\n%s\n[monitor.probe]\ntype = \"http\"\nurl = \"%s/%s\"\n%s\n%s[[monitor.actions]]\nreceiver = \"ops\"\n", name, keys, s.url, name, probe, more)
	}
	return opsReceiver(s.url, "init", "fail", "recover") +
		one("streak", "interval = 3600\nretry_interval = 1\nfailures_before_alert = 3", "", "") +
		one("window", "interval = 1\nmin = 95\nmax = 1000", "measure = \"body\"", "[monitor.filter]\ntype = \"average\"\n") +
		one("stopped", "interval = 1", "", "") + one("open", "interval = 1", "", "") +
		one("pending", "interval = 1", "", "") + one("good", "interval = 1", "", "")
}

// TestMonitorsGoOnAfterARestart ends an instance, by a kill or a stop, at a moment at
// which each of its monitors knows something that it needs afterwards.
// Faults: T49, U7.
func TestMonitorsGoOnAfterARestart(t *testing.T) {
	testkit.SkipIfShort(t)
	for _, killed := range []bool{true, false} {
		t.Run(map[bool]string{true: "kill", false: "stop"}[killed], func(t *testing.T) {
			t.Parallel()
			s := newScripted(t)
			s.refuse = true
			state := t.TempDir() + "/state"
			args := []string{"--registry", "memory", "-d", configDir(t, s.monitors()), "--state_dir", state, "--token_file", tokenFile(t)}
			m := startMonitor(t, args...)
			m.ready(ample)
			if status, answer, err := m.change(http.MethodPost, "/monitor/stopped", "stop"); status != http.StatusOK {
				t.Fatalf("stopping: %d %s (%v)", status, answer, err)
			}
			testkit.Eventually(t, 2*ample, "each monitor knows something", func() bool {
				return s.probed("streak") == 3 && s.probed("window") > windowSize && len(s.notified("open")) == 1 && len(s.notified("good")) == 1 && s.probed("pending") > 1
			})
			before := m.listed()
			if killed {
				snapshotAfter(t, state, time.Now())
				m.kill()
			} else {
				m.stopsInOrder(t)
			}
			s.restarted()
			m = startMonitor(t, args...)
			m.ready(ample)
			testkit.Eventually(t, 2*ample, "the failures are notified", func() bool {
				return len(s.notified("streak")) > 0 && len(s.notified("window")) > 1 && len(s.notified("pending")) > 0
			})
			for name, want := range map[string]string{"streak": "fail 1 4", "pending": "fail 1 "} {
				if got := s.notified(name); len(got) != 1 || !strings.HasPrefix(got[0], want) {
					t.Errorf("%s was notified of %q, want %q", name, got, want)
				}
			}
			// Without its window, the average would be that of one value.
			if got := s.notified("window")[1]; !strings.HasPrefix(got, "fail 90 ") {
				t.Errorf("the filter of one window goes on with %q, want a value of 90", got)
			}
			after := m.listed()
			for name, one := range before {
				if now := after[name]; now.ID != one.ID || now.Probes < one.Probes-12 && killed || now.Probes < one.Probes && !killed {
					t.Errorf("%s was %+v and is %+v", name, one, now)
				}
			}
			if after["stopped"].State != "STOPPED" {
				t.Errorf("the stopped monitor is %+v", after["stopped"])
			}
			s.restarted()
			testkit.Eventually(t, ample, "the recovery is notified", func() bool { return len(s.notified("open")) > 1 })
			m.stopsInOrder(t)
			if open, good := s.notified("open"), s.notified("good"); len(open) != 2 || !strings.HasPrefix(open[1], "recover") || len(good) != 1 {
				t.Errorf("notified of %q and %q", open, good)
			}
		})
	}
}

// snapshotIsAfter reports whether the newest snapshot was begun after t.
func snapshotIsAfter(state string, t time.Time) bool {
	for _, name := range []string{"/snapshot-1", "/snapshot-2"} {
		// It is written within less than a second.
		if info, err := os.Stat(state + name); err == nil && info.ModTime().After(t.Add(time.Second)) {
			return true
		}
	}
	return false
}

// snapshotAfter waits until a snapshot was begun after t.
func snapshotAfter(t *testing.T, state string, begun time.Time) {
	t.Helper()
	testkit.Eventually(t, ample, "a snapshot is written", func() bool { return snapshotIsAfter(state, begun) })
}
