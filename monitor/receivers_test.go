package monitor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// TestEqualActionsShareAReceiver lets 2,000 monitors with the same inline action
// fail within a second. All failures are in few messages.
// Faults: T47.
func TestEqualActionsShareAReceiver(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		var all strings.Builder
		const n = 2000
		for i := range n {
			all.WriteString(monitorWithActions(fmt.Sprintf("m%d", i), inlineAction("ops")+"group = true\n"))
		}

		b.mustApply(t, all.String())
		if names := b.receiverNames(); len(names) != 1 || !isInlineName(names[0]) || !strings.HasPrefix(names[0], "fake#") {
			t.Fatalf("receivers %q", names)
		}
		time.Sleep(40 * time.Second)
		b.setProbe(down)
		b.mu.Lock()
		b.messages, b.notifications = 0, nil
		b.mu.Unlock()
		time.Sleep(30 * time.Second)
		b.mu.Lock()
		if b.messages > 4 || len(b.notifications) != n {
			t.Errorf("%d failures notified in %d messages within 30 s", len(b.notifications), b.messages)
		}
		b.mu.Unlock()
		b.mustApply(t, monitorWithActions("m0", ""))
		b.wantReceivers(t, 1)
		b.apply(t, "a.toml", "")
		b.wantReceivers(t, 0)
	})
}

func TestActionsThatDifferShareNoReceiver(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		doc := monitorWithActions("a", inlineAction("x")+inlineAction("x")+inlineAction("y")) + monitorWithActions("b", inlineAction("y"))
		b.mustApply(t, doc)
		b.wantReceivers(t, 2)
		b.setProbe(down)
		time.Sleep(15 * time.Second)
		if x, y := b.notifiedTo("x"), b.notifiedTo("y"); x != "a:init a:fail" || !strings.Contains(y, "a:fail") || !strings.Contains(y, "b:fail") {
			t.Errorf("x was notified %q, y %q", x, y)
		}
		b.apply(t, "a.toml", monitorWithActions("b", inlineAction("y")))
		b.wantReceivers(t, 1)
	})
}

// TestChangedActionIsNotifiedOfTheOpenIncident changes the action of a failing
// monitor. The new receiver is notified of the failure, both of the recovery.
func TestChangedActionIsNotifiedOfTheOpenIncident(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(down)
		b.apply(t, "a.toml", monitorWithActions("m", inlineAction("old")))
		time.Sleep(15 * time.Second)
		b.apply(t, "a.toml", monitorWithActions("m", inlineAction("new")))
		time.Sleep(15 * time.Second)
		b.apply(t, "a.toml", monitorWithActions("m", inlineAction("newest")))
		time.Sleep(15 * time.Second)
		b.setProbe(up)
		time.Sleep(15 * time.Second)
		for _, who := range []string{"old", "new", "newest"} {
			if got, want := b.notifiedTo(who), "m:init m:fail m:recover"; got != want {
				t.Errorf("%s was notified %q, want %q", who, got, want)
			}
		}
		b.mu.Lock()
		for _, n := range b.notifications {
			if n.Event == action.Fail && n.Incident != b.notifications[len(b.notifications)-1].Incident {
				t.Errorf("another incident: %+v", n)
			}
		}
		b.mu.Unlock()
		// The next change removes the former receivers.
		b.apply(t, "a.toml", monitorWithActions("m", inlineAction("newest")))
		b.wantReceivers(t, 1)
	})
}

func TestPendingNotificationOutlivesItsMonitor(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setDeliver(unavailable)
		b.setProbe(down)
		b.apply(t, "a.toml", monitorWithActions("m", inlineAction("x")))
		time.Sleep(15 * time.Second)
		b.apply(t, "a.toml", "")
		b.setDeliver(nil)
		time.Sleep(time.Minute)
		if got := b.notifiedTo("x"); !strings.Contains(got, "m:fail") {
			t.Errorf("notified %q", got)
		}
		b.apply(t, "a.toml", "")
		b.wantReceivers(t, 0)
	})
}

// TestAReceiverThatIsUsedStays removes a [[receiver]] that a monitor names.
func TestAReceiverThatIsUsedStays(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		named := monitorWithActions("m", "[[monitor.actions]]\nreceiver = \"ops\"\n")
		b.mustApply(t, opsReceiver+named)
		time.Sleep(15 * time.Second)
		p := b.apply(t, "a.toml", named)
		want := `a.toml:7: monitor "m": receiver "ops" is not defined in any file; the monitor keeps using the previous one`
		if len(p) != 1 || p[0].Error() != want {
			t.Errorf("got  %v\nwant %s", p, want)
		}
		p = b.apply(t, "a.toml", named+"# a new monitor\n"+strings.ReplaceAll(named, `"m"`, `"n"`))
		if len(p) != 2 || !strings.HasSuffix(p[1].Error(), `monitor "n": receiver "ops" is not defined in any file: add a [[receiver]] with that name`) {
			t.Errorf("problems %v", p)
		}
		b.setProbe(down)
		time.Sleep(15 * time.Second)
		if got, want := b.notifiedTo("ops"), "m:init m:fail"; got != want {
			t.Errorf("notified %q, want %q", got, want)
		}
		if p := b.apply(t, "a.toml", opsReceiver+named); len(p) > 0 || len(b.receiverNames()) != 1 {
			t.Errorf("back again: %v, %q", p, b.receiverNames())
		}
		b.apply(t, "a.toml", "")
		b.wantReceivers(t, 0)
	})
}
