package monitor

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// registerAll registers as many monitors as an owner may.
func (b *bench) registerAll(t *testing.T, owner string) {
	t.Helper()
	for i := range DefaultMaxOwned {
		if _, err := b.registerAs(t, owner, true, monitorTOML(fmt.Sprintf("%s-%d", owner, i), "")); err != nil {
			t.Fatalf("number %d of %s: %v", i+1, owner, err)
		}
	}
}

func TestRegister(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		d := mustParse(t, `{"name": "m", "interval": 5, "probe": {"type": "fake", "name": "m"}}`)
		id, err := b.Register(d)
		if err != nil || id != 1 {
			t.Fatalf("id %d, %v", id, err)
		}
		if again, err := b.Register(d); again != id || err != nil {
			t.Errorf("twice: id %d, %v", again, err)
		}
		other := mustParse(t, `{"name": "m", "interval": 6, "probe": {"type": "fake", "name": "m"}}`)
		if _, err := b.Register(other); !errors.Is(err, ErrExists) {
			t.Errorf("another of its name: %v", err)
		}
		written := mustParse(t, `{"name": "w", "probe": {"type": "fake"}, "actions": [{"type": "fake"}]}`)
		if _, err := b.Register(written); !errors.Is(err, errReceiversOnly) {
			t.Errorf("an operator's action written out: %v", err)
		}
		if err := b.Unregister(id); err != nil {
			t.Fatal(err)
		}
		if err := b.Unregister(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("twice: %v", err)
		}
		if id, err = b.Register(d); err != nil || id != 2 {
			t.Errorf("again: id %d, %v; ids are never used again", id, err)
		}
	})
}

func TestAtMostTenRegistrationsASecond(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.cfg.MaxPerSecond = DefaultMaxPerSecond
		n := 0
		register := func() error {
			n++
			_, err := b.registerAs(t, "operator:1", true, monitorTOML(fmt.Sprintf("m%d", n), ""))
			return err
		}
		for range DefaultMaxPerSecond {
			if err := register(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		var fast *RateError
		if err := register(); !errors.As(err, &fast) || fast.Wait != 900*time.Millisecond || !strings.Contains(err.Error(), "at most 10 monitors may be registered per second: try again in 1s") {
			t.Fatalf("the eleventh: got %v, want a RateError of 900ms", err)
		}
		// Repeated and rejected registrations do not count.
		if id, err := b.registerAs(t, "operator:1", true, monitorTOML("m1", "")); err != nil || id != 1 {
			t.Errorf("the first again: got %d, %v", id, err)
		}
		if _, err := b.registerAs(t, "operator:1", true, monitorTOML("m1", "interval = 7")); !errors.Is(err, ErrExists) {
			t.Errorf("another definition of the first: %v", err)
		}
		time.Sleep(fast.Wait)
		if err := register(); err != nil {
			t.Errorf("after the wait: %v", err)
		}
		if err := register(); !errors.As(err, &fast) || fast.Wait != 10*time.Millisecond {
			t.Errorf("one more: got %v (%+v), want to wait for 10ms", err, fast)
		}
	})
}

// Faults: G31.
func TestRegisteringTheSameDefinitionAgainIsTheSameMonitor(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		const first = "[[monitor]]\nname = \"a\"\ninterval = 60\nmax = 1.0\n[monitor.probe]\ntype = \"fake\"\nname = \"secret\"\n[monitor.labels]\nx = \"y\"\n[[monitor.actions]]\ntype = \"fake\"\nto = \"b\"\n"
		id, err := b.registerAs(t, "operator:1", false, strings.ReplaceAll(first, "[[monitor.actions]]\ntype = \"fake\"\nto = \"b\"\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		admins, err := b.registerAs(t, "admin:1", true, strings.Replace(first, `name = "a"`, `name = "b"`, 1))
		if err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]struct {
			owner   string
			trusted bool
			text    string
			want    int64 // 0 for ErrExists
		}{
			"as JSON":                   {"operator:1", false, `{"labels":{"x":"y"},"max":1,"probe":{"name":"secret","type":"fake"},"name":"a"}`, id},
			"with defaults, other ways": {"operator:1", false, `{"name":"a","interval":"1m","timeout":59,"min":0,"max":1.0,"failures_before_alert":1,"actions":[],"probe":{"name":"secret","type":"fake"},"labels":{"x":"y"}}`, id},
			"another secret":            {"operator:1", false, `{"labels":{"x":"y"},"max":1,"probe":{"name":"guess","type":"fake"},"name":"a"}`, 0},
			"another kind":              {"operator:1", false, `{"labels":{"x":"y"},"max":1,"probe":{"name":"secret","type":"exec"},"name":"a"}`, 0},
			"another label":             {"operator:1", false, `{"labels":{"x":"z"},"max":1,"probe":{"name":"secret","type":"fake"},"name":"a"}`, 0},
			"another interval":          {"operator:1", false, `{"labels":{"x":"y"},"max":1,"interval":61,"timeout":59,"probe":{"name":"secret","type":"fake"},"name":"a"}`, 0},
			"another max":               {"operator:1", false, `{"labels":{"x":"y"},"max":2,"probe":{"name":"secret","type":"fake"},"name":"a"}`, 0},
			"a warning":                 {"operator:1", false, `{"labels":{"x":"y"},"max":1,"warn_max":1,"probe":{"name":"secret","type":"fake"},"name":"a"}`, 0},
			"a filter":                  {"operator:1", false, `{"labels":{"x":"y"},"max":1,"filter":{"type":"average"},"probe":{"name":"secret","type":"fake"},"name":"a"}`, 0},
			"another operator":          {"operator:2", false, `{"labels":{"x":"y"},"max":1,"probe":{"name":"secret","type":"fake"},"name":"a"}`, 0},
			"an admin":                  {"admin:1", true, `{"labels":{"x":"y"},"max":1,"probe":{"name":"secret","type":"fake"},"name":"a"}`, 0},
			"the admin's":               {"admin:1", true, `{"labels":{"x":"y"},"max":1,"probe":{"name":"secret","type":"fake"},"actions":[{"to":"b","type":"fake"}],"name":"b"}`, admins},
			"the admin's by another":    {"admin:2", true, `{"labels":{"x":"y"},"max":1,"probe":{"name":"secret","type":"fake"},"actions":[{"to":"b","type":"fake"}],"name":"b"}`, admins},
			"the admin's by operators":  {"operator:1", false, `{"labels":{"x":"y"},"max":1,"probe":{"name":"secret","type":"fake"},"actions":[{"to":"b","type":"fake"}],"name":"b"}`, 0},
			"another action":            {"admin:1", true, `{"labels":{"x":"y"},"max":1,"probe":{"name":"secret","type":"fake"},"actions":[{"to":"c","type":"fake"}],"name":"b"}`, 0},
			"no action":                 {"admin:1", true, `{"labels":{"x":"y"},"max":1,"probe":{"name":"secret","type":"fake"},"name":"b"}`, 0},
		} {
			got, err := b.registerAs(t, c.owner, c.trusted, c.text)
			if got != c.want || (c.want == 0) != errors.Is(err, ErrExists) {
				t.Errorf("%s: got %d, %v; want %d", what, got, err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "differ")) {
				t.Errorf("%s: the error %q reveals too much", what, err)
			}
		}
		if err := b.Stop(id); err != nil {
			t.Fatal(err)
		}
		if got, err := b.registerAs(t, "operator:1", false, `{"labels":{"x":"y"},"max":1,"probe":{"name":"secret","type":"fake"},"name":"a"}`); got != id || err != nil {
			t.Errorf("one that was stopped: got %d, %v", got, err)
		}
		if info, err := b.Get(id); err != nil || info.Running {
			t.Errorf("registering it again has started it: %+v, %v", info, err)
		}
		if n := len(b.List(Filter{})); n != 2 {
			t.Errorf("%d monitors, want 2", n)
		}
	})
}

// Faults: G31.
func TestMonitorOfAFileIsNotARegisteredOne(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.mustApply(t, monitorTOML("a", ""))
		// It would be removed with its file, and its id with it.
		if _, err := b.registerAs(t, "", true, monitorTOML("a", "")); !errors.Is(err, ErrExists) {
			t.Errorf("got %v, want %v", err, ErrExists)
		}
	})
}

// TestRegisteredMonitorsAreBounded includes unrestored monitors.
func TestRegisteredMonitorsAreBounded(t *testing.T) {
	g := builtinGroup()
	g.cfg.MaxRegistered = 2
	g.unrestored = []journalEntry{{ID: 1}}
	for i, want := range []error{nil, ErrFull} {
		d := mustParse(t, fmt.Sprintf(`{"name": "m%d", "probe": {"type": "tcp", "address": "192.0.2.1:1"}}`, i))
		if _, err := g.Register(d); !errors.Is(err, want) {
			t.Errorf("monitor %d: %v", i, err)
		}
	}
}

// TestListDoesNotGrowWithIDsEverGiven registers and unregisters many times.
// Faults: G30.
func TestListDoesNotGrowWithIDsEverGiven(t *testing.T) {
	testkit.SkipIfShort(t)
	b := builtinGroup()
	d := mustParse(t, `{"name": "m", "probe": {"type": "tcp", "address": "192.0.2.1:1"}}`)
	for range 20_000 {
		id, err := b.Register(d)
		if err == nil {
			err = b.Unregister(id)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.byID) + len(b.byName) + len(b.scheduler.jobs) + len(b.receivers.uses) + len(b.receivers.inline); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	if allocs := testing.AllocsPerRun(100, func() { b.List(Filter{}) }); allocs > 5 {
		t.Errorf("listing nothing allocates %v times", allocs)
	}
}
