package monitor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// TestUnchangedIncidentsSendNothingAfterAKill kills an instance with open incidents
// several times. The next notification is the recovery, with the original id and the
// whole duration.
// Faults: G36, T14.
func TestUnchangedIncidentsSendNothingAfterAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := opsReceiver + monitorFor("a", "ops") + monitorFor("b", "ops") + monitorFor("silent")
		l := startInstance(t, testkit.NewMemDisk(), files)
		l.setProbe(down)
		time.Sleep(time.Minute)
		first := l.sent()
		if got, want := l.sentEvents(), "a:fail b:fail"; got != want {
			t.Fatalf("notified %s, want %s", got, want)
		}
		for range 5 {
			d := l.kill()
			time.Sleep(time.Hour)
			l = startInstance(t, d, files)
			l.setProbe(down)
			time.Sleep(5 * time.Minute)
			if got := l.sentEvents(); got != "" {
				t.Errorf("after a kill notified %s, want nothing", got)
			}
		}
		if n := len(l.ledgerState().Incidents); n != 3 {
			t.Errorf("%d open incidents, want 3, one without actions", n)
		}
		d := l.kill()
		l = startInstance(t, d, files) // the targets have recovered
		time.Sleep(5 * time.Minute)
		if got, want := l.sentEvents(), "a:recover b:recover"; got != want {
			t.Fatalf("notified %s, want %s", got, want)
		}
		for _, n := range l.sent() {
			i := slices.IndexFunc(first, func(f action.Notification) bool { return f.Monitor == n.Monitor })
			truth := n.Time.Sub(first[i].Time)
			if n.Incident != first[i].Incident || n.Duration-truth > time.Second || truth-n.Duration > time.Second || n.Duration < 5*time.Hour {
				t.Errorf("recovery %+v of %+v", n, first[i])
			}
		}
		d = l.kill()
		l = startInstance(t, d, files)
		time.Sleep(5 * time.Minute)
		if got := l.sentEvents(); got != "" || len(l.ledgerState().Incidents) != 0 {
			t.Errorf("afterwards notified %s", got)
		}
		l.stop()
	})
}

// TestPendingNotificationsAreSentAfterAKill kills an instance whose receiver is
// unavailable.
// Faults: G36.
func TestPendingNotificationsAreSentAfterAKill(t *testing.T) {
	for name, heals := range map[string]bool{"still failing": false, "over by then": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				files := opsReceiver + monitorFor("a", "ops")
				l := startInstance(t, testkit.NewMemDisk(), files)
				l.setDeliver(func(context.Context, []action.Notification) error { return errors.New("unavailable") })
				l.setProbe(down)
				time.Sleep(time.Minute)
				d := l.kill()
				l = startInstance(t, d, files)
				if !heals {
					l.setProbe(down)
				}
				time.Sleep(time.Minute)
				want := "a:fail a:recover"
				if !heals {
					want = "a:fail"
				}
				ns := l.sent()
				if got := l.sentEvents(); got != want || ns[0].Event != action.Fail || ns[len(ns)-1].Incident != ns[0].Incident {
					t.Errorf("notified %+v, want %s", ns, want)
				}
				l.stop()
			})
		})
	}
}

// TestIncidentsResumeWithChangedFiles restarts with changed files.
// Faults: G36.
func TestIncidentsResumeWithChangedFiles(t *testing.T) {
	other := "[[receiver]]\nname = \"other\"\ntype = \"fake\"\nto = \"other\"\n"
	for name, c := range map[string]struct {
		files string // of the second instance
		later string // if not empty, of the second instance after an hour
		heals bool
		want  string // notified by the second instance, as receiver=monitor:event
	}{
		"unchanged":                               {opsReceiver + monitorFor("a", "ops"), "", true, "ops=a:recover"},
		"another probe":                           {opsReceiver + strings.Replace(monitorFor("a", "ops"), "interval = 10", "interval = 20", 1), "", true, "ops=a:recover"},
		"one more receiver":                       {opsReceiver + other + monitorFor("a", "ops", "other"), "", false, "other=a:fail"},
		"another receiver":                        {opsReceiver + other + monitorFor("a", "other"), "", true, "ops=a:recover"},
		"another receiver, still fails":           {opsReceiver + other + monitorFor("a", "other"), "", false, "other=a:fail"},
		"gone":                                    {opsReceiver + monitorFor("b", "ops"), "", true, ""},
		"gone for an hour":                        {opsReceiver, opsReceiver + monitorFor("a", "ops"), true, "ops=a:recover"},
		"gone for an hour, still fails":           {opsReceiver, opsReceiver + monitorFor("a", "ops"), false, ""},
		"gone for an hour, then another receiver": {opsReceiver + other, opsReceiver + other + monitorFor("a", "other"), true, "ops=a:recover"},
		"gone for an hour, then another receiver, still fails": {opsReceiver + other, opsReceiver + other + monitorFor("a", "other"), false, "other=a:fail"},
		"gone for an hour, then one more receiver":             {opsReceiver + other, opsReceiver + other + monitorFor("a", "ops", "other"), true, "ops=a:recover"},
		"all files broken for an hour":                         {"", opsReceiver + monitorFor("a", "ops"), true, "ops=a:recover"},
		"receiver gone, monitor remains":                       {monitorFor("a"), "", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := startInstance(t, testkit.NewMemDisk(), opsReceiver+monitorFor("a", "ops"))
				l.setProbe(down)
				time.Sleep(time.Minute)
				d := l.kill()
				l = startInstance(t, d, c.files)
				if !c.heals {
					l.setProbe(down)
				}
				time.Sleep(time.Hour)
				if c.later != "" {
					if len(l.sent()) > 0 {
						t.Errorf("notified %+v while the monitor was absent", l.sent())
					}
					d = l.kill() // the incident outlives one more kill
					l = startInstance(t, d, c.files)
					if !c.heals {
						l.setProbe(down)
					}
					l.mustApply(t, c.later)
					time.Sleep(time.Hour)
				}
				l.mu.Lock()
				var got []string
				for to, words := range l.notified {
					for _, word := range strings.Fields(words) {
						if !strings.HasSuffix(word, ":init") {
							got = append(got, to+"="+word)
						}
					}
				}
				l.mu.Unlock()
				if got := strings.Join(got, " "); got != c.want {
					t.Errorf("notified %q, want %q", got, c.want)
				}
				l.stop()
			})
		})
	}
}

// TestAbsentMonitorsAreForgottenAfterADay restarts without a monitor and its
// receiver.
// Faults: G36.
func TestAbsentMonitorsAreForgottenAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startInstance(t, testkit.NewMemDisk(), opsReceiver+monitorFor("a", "ops"))
		l.setProbe(down)
		time.Sleep(time.Minute)
		d := l.kill()
		l = startInstance(t, d, monitorFor("b"))
		time.Sleep(20 * time.Hour)
		d = l.kill() // the absence does not start again
		l = startInstance(t, d, monitorFor("b"))
		time.Sleep(3 * time.Hour)
		if k := l.ledgerState(); len(k.Incidents) != 1 || len(k.Pending) != 1 {
			t.Errorf("after 23 hours %+v, want all", k)
		}
		time.Sleep(2 * time.Hour)
		if k := l.ledgerState(); len(k.Incidents) != 0 || len(k.Pending) != 0 {
			t.Errorf("after 25 hours %+v", k)
		}
		l.stop()
	})
}
