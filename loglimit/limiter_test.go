package loglimit

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneLineOfEachKeyPassesInAPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Limiter
		for range 3 {
			for _, key := range []string{"a", "b"} {
				if _, ok := l.Allow(key); !ok {
					t.Errorf("the first line of %s is suppressed", key)
				}
				for range 4 {
					if _, ok := l.Allow(key); ok {
						t.Errorf("a second line of %s passes", key)
					}
				}
			}
			time.Sleep(DefaultEvery - 1)
			if _, ok := l.Allow("a"); ok {
				t.Error("a line passes before the period is over")
			}
			time.Sleep(time.Nanosecond)
			if n, ok := l.Allow("a"); !ok || n != 5 {
				t.Errorf("got %d suppressed, %v, want 5", n, ok)
			}
			if n, ok := l.Allow("b"); !ok || n != 4 {
				t.Errorf("got %d suppressed, %v, want 4", n, ok)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestBurstPassesInAPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limiter{Every: time.Minute, Burst: 60}
		passed := 0
		for range 2000 {
			if _, ok := l.Allow(""); ok {
				passed++
			}
			time.Sleep(20 * time.Millisecond) // 40 s in all
		}
		if passed != 60 {
			t.Errorf("%d lines pass in a minute, want 60", passed)
		}
		time.Sleep(20 * time.Second)
		if n, ok := l.Allow(""); !ok || n != 1940 {
			t.Errorf("got %d suppressed, %v, want 1940", n, ok)
		}
	})
}

func TestNoMinuteHoldsTheLinesOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limiter{Every: time.Minute, Burst: 10}
		var passed []time.Time
		for i := range 1000 {
			if _, ok := l.Allow(""); ok {
				passed = append(passed, time.Now())
			}
			time.Sleep(time.Duration(i%7) * time.Second)
		}
		for i := range passed[:len(passed)-10] {
			if within := passed[i+10].Sub(passed[i]); within < time.Minute {
				t.Fatalf("11 lines pass in %v", within)
			}
		}
		if len(passed) < 400 {
			t.Errorf("only %d lines pass in 50 minutes", len(passed))
		}
	})
}

// TestManyKeysShareTheLastAllowance logs a line of each of 100,000 keys, as a
// flood from many addresses does.
// Faults: I9.
func TestManyKeysShareTheLastAllowance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Limiter
		passed := 0
		for i := range 100_000 {
			if _, ok := l.Allow(fmt.Sprint("key ", i)); ok {
				passed++
			}
		}
		if passed > maxKeys+1 || len(l.keys) > maxKeys+1 {
			t.Errorf("%d lines pass, %d keys are held, want at most %d", passed, len(l.keys), maxKeys+1)
		}
		time.Sleep(DefaultEvery)
		if _, ok := l.Allow("another"); !ok {
			t.Error("there is room again, and a new key is suppressed")
		}
		if len(l.keys) != 1 {
			t.Errorf("%d keys are held, want 1", len(l.keys))
		}
	})
}

func TestSuppressedLinesAreCountedInTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		log := slog.New(slog.NewTextHandler(&out, nil))
		var l Limiter
		asked := 0
		write := func() {
			l.Log(log, slog.LevelWarn, "refused", func() []any { asked++; return []any{"who", asked} })
		}
		write()
		write()
		write()
		time.Sleep(DefaultEvery)
		write()
		got := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(got) != 2 || asked != 2 || strings.Contains(got[0], "suppressed") ||
			!strings.HasSuffix(got[1], `level=WARN msg=refused who=2 suppressed=2`) {
			t.Errorf("attributes asked for %d times, logged %q", asked, got)
		}
	})
}

// Faults: S14.
func TestLinesPassAfterTheClockWasSetBack(t *testing.T) {
	l := Limiter{Every: time.Minute}
	now := time.Now()
	for begun, want := range map[time.Time]bool{now: false, now.Add(-time.Hour): true, now.AddDate(200, 0, 0).Round(0): true} {
		if got := l.isOver(begun, now); got != want {
			t.Errorf("a period that began at %v: over %v, want %v", begun, got, want)
		}
	}
}
