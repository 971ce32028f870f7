package guard_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/guard"
)

// regGaps returns the times between the calls that f saw since the last look.
func regGaps(f *regFake) []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var gaps []time.Duration
	for i := 1; i < len(f.at); i++ {
		gaps = append(gaps, f.at[i].Sub(f.at[i-1]))
	}
	f.at = nil
	return gaps
}

// wantDoubling checks that the first delays double from one second on, each
// shortened by up to a quarter.
func wantDoubling(t *testing.T, gaps []time.Duration, n int) {
	t.Helper()
	if len(gaps) < n {
		t.Fatalf("%d delays, want %d or more", len(gaps), n)
	}
	for i, d := 0, time.Second; i < n; i, d = i+1, 2*d {
		if gaps[i] < d*3/4 || gaps[i] > d {
			t.Errorf("delay %d is %v, want %v to %v; all are %v", i+1, gaps[i], d*3/4, d, gaps)
		}
	}
}

func TestRegistryWaitsTwiceAsLongAfterEachFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &regFake{fail: errFake}
		r := regOf(f, func(c *guard.RegistryConfig) { c.RetryMax = time.Minute })
		regRun(t, r)
		if err := r.Register(regService("svc", "a")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		gaps := regGaps(f)
		wantDoubling(t, gaps, 6)
		if rest := gaps[6:]; slices.Min(rest) < 45*time.Second || slices.Max(rest) > time.Minute {
			t.Errorf("later delays %v, want 45s to 1m", rest)
		}

		// It returns, and goes away again: the next series starts anew.
		f.set(func() { f.fail = nil })
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if !f.has("a") {
			t.Fatal("not registered after the return")
		}
		f.set(func() { f.fail, f.at = errFake, nil })
		if err := r.Register(regService("svc", "a")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		wantDoubling(t, regGaps(f), 4)
	})
}
