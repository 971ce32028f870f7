package monitor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// acting is a document of one monitor with actions of its own.
func acting(name, actions string) string {
	return fmt.Sprintf("[[monitor]]\nname = %q\ninterval = 10\n[monitor.probe]\ntype = \"fake\"\nname = %q\n%s", name, name, actions)
}

func toWhom(to string) string {
	return fmt.Sprintf("[[monitor.actions]]\ntype = \"fake\"\nto = %q\n", to)
}

func (b *bench) toldTo(to string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(b.told[to])
}

func (b *bench) receiverNames() []string {
	var names []string
	for _, s := range b.Deliverer.Status() {
		names = append(names, s.Receiver)
	}
	return names
}

// TestEqualActionsShareAReceiver has 2,000 monitors with the same action
// written out fail in the same second: they are told in few messages, all.
// Faults: T47.
func TestEqualActionsShareAReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		var all strings.Builder
		const n = 2000
		for i := range n {
			all.WriteString(acting(fmt.Sprintf("m%d", i), toWhom("ops")+"group = true\n"))
		}

		if p := b.apply(t, "a.toml", all.String()); len(p) > 0 {
			t.Fatal(p[0])
		}
		if names := b.receiverNames(); len(names) != 1 || !reserved(names[0]) || !strings.HasPrefix(names[0], "fake#") {
			t.Fatalf("receivers %q", names)
		}
		time.Sleep(40 * time.Second)
		b.answer(down)
		b.mu.Lock()
		b.calls, b.notices = 0, nil
		b.mu.Unlock()
		time.Sleep(30 * time.Second)
		b.mu.Lock()
		if b.calls > 4 || len(b.notices) != n {
			t.Errorf("%d failures told in %d messages within 30 s", len(b.notices), b.calls)
		}
		b.mu.Unlock()
		if p := b.apply(t, "a.toml", acting("m0", "")); len(p) > 0 {
			t.Fatal(p[0])
		}
		if names := b.receiverNames(); len(names) != 1 {
			t.Errorf("m0 owes the recovery; receivers %q", names)
		}
		b.apply(t, "a.toml", "")
		if names := b.receiverNames(); len(names) != 0 {
			t.Errorf("nobody uses the receivers %q", names)
		}
	})
}

func TestActionsThatDifferShareNoReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		doc := acting("a", toWhom("x")+toWhom("x")+toWhom("y")) + acting("b", toWhom("y"))
		if p := b.apply(t, "a.toml", doc); len(p) > 0 {
			t.Fatal(p[0])
		}
		if names := b.receiverNames(); len(names) != 2 {
			t.Fatalf("receivers %q", names)
		}
		b.answer(down)
		time.Sleep(15 * time.Second)
		if x, y := b.toldTo("x"), b.toldTo("y"); x != "a:init a:fail" || !strings.Contains(y, "a:fail") || !strings.Contains(y, "b:fail") {
			t.Errorf("x was told %q, y %q", x, y)
		}
		b.apply(t, "a.toml", acting("b", toWhom("y")))
		if names := b.receiverNames(); len(names) != 1 {
			t.Errorf("receivers %q after the only monitor of x went", names)
		}
	})
}

// TestAChangedActionHearsOfTheOpenIncident changes the action of a failing
// monitor: the new receiver hears of the failure, both of its end.
func TestAChangedActionHearsOfTheOpenIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.answer(down)
		b.apply(t, "a.toml", acting("m", toWhom("old")))
		time.Sleep(15 * time.Second)
		b.apply(t, "a.toml", acting("m", toWhom("new")))
		time.Sleep(15 * time.Second)
		b.apply(t, "a.toml", acting("m", toWhom("newest")))
		time.Sleep(15 * time.Second)
		b.answer(up)
		time.Sleep(15 * time.Second)
		for _, who := range []string{"old", "new", "newest"} {
			if got, want := b.toldTo(who), "m:init m:fail m:recover"; got != want {
				t.Errorf("%s was told %q, want %q", who, got, want)
			}
		}
		b.mu.Lock()
		for _, n := range b.notices {
			if n.Event == action.Fail && n.Incident != b.notices[len(b.notices)-1].Incident {
				t.Errorf("another incident: %+v", n)
			}
		}
		b.mu.Unlock()
		// Any change lets the former receivers go.
		b.apply(t, "a.toml", acting("m", toWhom("newest")))
		if names := b.receiverNames(); len(names) != 1 {
			t.Errorf("receivers %q", names)
		}
	})
}

func TestAnUntoldNoticeOutlivesItsMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.mu.Lock()
		b.deliver = func(context.Context, []action.Notification) error { return errors.New("no connection") }
		b.mu.Unlock()
		b.answer(down)
		b.apply(t, "a.toml", acting("m", toWhom("x")))
		time.Sleep(15 * time.Second)
		b.apply(t, "a.toml", "")
		b.mu.Lock()
		b.deliver = nil
		b.mu.Unlock()
		time.Sleep(time.Minute)
		if got := b.toldTo("x"); !strings.Contains(got, "m:fail") {
			t.Errorf("told %q", got)
		}
		b.apply(t, "a.toml", "")
		if names := b.receiverNames(); len(names) != 0 {
			t.Errorf("receivers %q", names)
		}
	})
}

const ops = "[[receiver]]\nname = \"ops\"\ntype = \"fake\"\nto = \"ops\"\n"

// TestAReceiverThatIsUsedStays takes a [[receiver]] out of the files while a
// monitor names it.
func TestAReceiverThatIsUsedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		named := acting("m", "[[monitor.actions]]\nreceiver = \"ops\"\n")
		if p := b.apply(t, "a.toml", ops+named); len(p) > 0 {
			t.Fatal(p[0])
		}
		time.Sleep(15 * time.Second)
		p := b.apply(t, "a.toml", named)
		want := `a.toml:7: monitor "m": receiver "ops" is not defined in any file; the monitor goes on with the one it had`
		if len(p) != 1 || p[0].Error() != want {
			t.Errorf("got  %v\nwant %s", p, want)
		}
		p = b.apply(t, "a.toml", named+"# a new monitor\n"+strings.ReplaceAll(named, `"m"`, `"n"`))
		if len(p) != 2 || !strings.HasSuffix(p[1].Error(), `monitor "n": receiver "ops" is not defined in any file: a [[receiver]] of that name defines it`) {
			t.Errorf("problems %v", p)
		}
		b.answer(down)
		time.Sleep(15 * time.Second)
		if got, want := b.toldTo("ops"), "m:init m:fail"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		if p := b.apply(t, "a.toml", ops+named); len(p) > 0 || len(b.receiverNames()) != 1 {
			t.Errorf("back again: %v, %q", p, b.receiverNames())
		}
		b.apply(t, "a.toml", "")
		if names := b.receiverNames(); len(names) != 0 {
			t.Errorf("receivers %q", names)
		}
	})
}
