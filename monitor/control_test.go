package monitor

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// registers registers a definition by an owner, and returns its id.
func (b *bench) registers(t *testing.T, owner string, trusted bool, text string) (int64, error) {
	t.Helper()
	d, err := ParseOne(text)
	if err != nil {
		t.Fatal(err)
	}
	d.Owner, d.Trusted = owner, trusted
	return b.Register(d)
}

func TestAtMostTenRegistrationsASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.cfg.MaxPerSecond = DefaultMaxPerSecond
		n := 0
		register := func() error {
			n++
			_, err := b.registers(t, "operator:1", true, text(fmt.Sprintf("m%d", n), ""))
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
		// What is there already, and what cannot be, costs nothing.
		if id, err := b.registers(t, "operator:1", true, text("m1", "")); err != nil || id != 1 {
			t.Errorf("the first again: got %d, %v", id, err)
		}
		if _, err := b.registers(t, "operator:1", true, text("m1", "interval = 7")); !errors.Is(err, ErrExists) {
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

// fill has an owner register all that it may.
func (b *bench) fill(t *testing.T, owner string) {
	t.Helper()
	for i := range DefaultMaxOwned {
		if _, err := b.registers(t, owner, true, text(fmt.Sprintf("%s-%d", owner, i), "")); err != nil {
			t.Fatalf("number %d of %s: %v", i+1, owner, err)
		}
	}
}

func TestATokenRegisters200MonitorsAlsoAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b, stop := newBenchWith(t, openedJournal(t, dir))
		b.fill(t, "operator:1")
		full := func() error {
			_, err := b.registers(t, "operator:1", true, text("more", ""))
			return err
		}
		if err := full(); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), `registering monitor "more": too many monitors are registered with this token: the limit is 200; unregister some, use another token, or define them in files`) {
			t.Errorf("the 201st: %v", err)
		}
		if _, err := b.registers(t, "operator:2", true, text("other", "")); err != nil {
			t.Errorf("another token: %v", err)
		}
		// Without tokens nobody can be told from others.
		b.fill(t, "")
		if _, err := b.registers(t, "", true, text("one more without a token", "")); err != nil {
			t.Errorf("the 201st without a token: %v", err)
		}
		stop()

		b, stop = newBenchWith(t, openedJournal(t, dir))
		defer stop()
		if err := full(); !errors.Is(err, ErrFull) {
			t.Errorf("before they are restored: %v", err)
		}
		if errs := b.Restore(func(*Definition) error { return nil }); len(errs) > 0 {
			t.Fatal(errs)
		}
		if err := full(); !errors.Is(err, ErrFull) {
			t.Errorf("after a restart: %v", err)
		}
		if err := b.Unregister(1); err != nil {
			t.Fatal(err)
		}
		if err := full(); err != nil {
			t.Errorf("after one was unregistered: %v", err)
		}
	})
}

func openedJournal(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// Faults: G31.
func TestRegisteringTheSameDefinitionAgainIsTheSameMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		const first = "[[monitor]]\nname = \"a\"\ninterval = 60\nmax = 1.0\n[monitor.probe]\ntype = \"fake\"\nname = \"secret\"\n[monitor.labels]\nx = \"y\"\n[[monitor.actions]]\ntype = \"fake\"\nto = \"b\"\n"
		id, err := b.registers(t, "operator:1", false, strings.ReplaceAll(first, "[[monitor.actions]]\ntype = \"fake\"\nto = \"b\"\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		admins, err := b.registers(t, "admin:1", true, strings.Replace(first, `name = "a"`, `name = "b"`, 1))
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
			got, err := b.registers(t, c.owner, c.trusted, c.text)
			if got != c.want || (c.want == 0) != errors.Is(err, ErrExists) {
				t.Errorf("%s: got %d, %v; want %d", what, got, err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "differ")) {
				t.Errorf("%s: the error %q tells too much", what, err)
			}
		}
		if err := b.Stop(id); err != nil {
			t.Fatal(err)
		}
		if got, err := b.registers(t, "operator:1", false, `{"labels":{"x":"y"},"max":1,"probe":{"name":"secret","type":"fake"},"name":"a"}`); got != id || err != nil {
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
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		if problems := b.apply(t, "a.toml", text("a", "")); len(problems) > 0 {
			t.Fatal(problems)
		}
		// It would be gone with its file, against what an id promises.
		if _, err := b.registers(t, "", true, text("a", "")); !errors.Is(err, ErrExists) {
			t.Errorf("got %v, want %v", err, ErrExists)
		}
	})
}
