package registry_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

// gapsOf returns the times between the calls that f saw since the last look.
func gapsOf(f *registrytest.Fake) []time.Duration {
	var gaps []time.Duration
	f.Locked(func() {
		for i := 1; i < len(f.CallTimes); i++ {
			gaps = append(gaps, f.CallTimes[i].Sub(f.CallTimes[i-1]))
		}
		f.CallTimes = nil
	})
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
		f := &registrytest.Fake{Err: registrytest.ErrFake}
		r := guarded(f, func(c *guardregistry.Config) { c.RetryMax = time.Minute })
		testkit.Run(t, r)
		if err := r.Register(registrytest.Service("svc", "a")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		gaps := gapsOf(f)
		wantDoubling(t, gaps, 6)
		if rest := gaps[6:]; slices.Min(rest) < 45*time.Second || slices.Max(rest) > time.Minute {
			t.Errorf("later delays %v, want 45s to 1m", rest)
		}

		// It returns, and goes away again: the next series starts anew.
		f.Locked(func() { f.Err = nil })
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if !f.Has("a") {
			t.Fatal("not registered after the return")
		}
		f.Locked(func() { f.Err, f.CallTimes = registrytest.ErrFake, nil })
		if err := r.Register(registrytest.Service("svc", "a")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		wantDoubling(t, gapsOf(f), 4)
	})
}
