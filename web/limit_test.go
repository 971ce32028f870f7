package web

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
)

// usualLimits are those of the service.
func usualLimits(c *monitor.Config) { c.MaxPerSecond, c.MaxOwned = 0, 0 }

func TestAtMostTenRegistrationsASecondByHTTP(t *testing.T) {
	w := newWorld(t, options{group: usualLimits})
	begin := time.Now()
	passed, refused := 0, 0
	// Of 40 at once, or as fast as this machine is, no more than 10 a second pass.
	for i := range 40 {
		switch a := w.do(registerCall(operator, definition(fmt.Sprint("m", i)))); a.status {
		case 200:
			passed++
		case 429:
			refused++
			if want := fmt.Sprintf("registering monitor \"m%d\": at most 10 monitors may be registered per second: try again in 1s\n", i); a.body != want || a.header.Get("Retry-After") != "1" {
				t.Fatalf("got %q, Retry-After %q; want %q, 1", a.body, a.header.Get("Retry-After"), want)
			}
		default:
			t.Fatalf("%d %q", a.status, a.body)
		}
	}
	if most := 10 * (1 + int(time.Since(begin)/time.Second)); passed > most || passed < 10 || passed+refused != 40 {
		t.Errorf("%d passed and %d were refused in %v, want 10 to %d to pass", passed, refused, time.Since(begin), most)
	}
	// The refused ones come in by trying again.
	testkit.Eventually(t, 10*time.Second, "the next is registered", func() bool { return w.do(registerCall(operator, definition("m39"))).status == 200 })
}

func TestATokenRegisters200MonitorsByHTTP(t *testing.T) {
	w := newWorld(t, options{group: func(c *monitor.Config) { c.MaxOwned = 0 }})
	for i := range monitor.DefaultMaxOwned {
		w.want(registerCall(operator, definition(fmt.Sprint("m", i))), 200)
	}
	w.want(registerCall(operator, definition("more")), 507, "the limit is 200", "use another token")
	w.want(registerCall(operator, definition("m7")), 200)
	w.want(registerCall(admin, definition("more")), 200)
	w.want(deleteCall(1), 200)
	w.want(registerCall(operator, definition("again")), 200)
}

// Faults: G31.
func TestRegisteringAgainGivesTheSameIDByHTTP(t *testing.T) {
	w := newWorld(t, options{})
	for token, name := range map[string]string{operator: "a", admin: "b"} {
		a := w.want(registerCall(token, definition(name)), 200)
		id, err := strconv.ParseInt(a.body, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		again := w.want(registerCall(token, " "+definition(name)+"\n"), 200)
		if again.body != a.body || again.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("again: %q %q, want %q", again.body, again.header.Get("Content-Type"), a.body)
		}
		w.want(wordCall(id, "stop"), 200)
		if again := w.want(registerCall(token, definition(name)), 200); again.body != a.body || w.info(id).Running {
			t.Errorf("one that was stopped: %q, running %v", again.body, w.info(id).Running)
		}
	}
	w.want(registerCall(operator, definition("b")), 409)
	w.want(registerCall(admin, definition("a")), 409)
	if got := w.group.List(monitorFilter()); len(got) != 2 {
		t.Errorf("%d monitors, want 2", len(got))
	}
}
