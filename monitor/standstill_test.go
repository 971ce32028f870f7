package monitor

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/clock"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

// newTestStandstill returns a standstill of a system that is suspended as the result
// says, and its log.
func newTestStandstill(t *testing.T) (*standstill, *atomic.Int64, *testkit.LogBuffer) {
	t.Helper()
	log := new(testkit.LogBuffer)
	s := newStandstill(clock.New(), log.Logger())
	suspended := new(atomic.Int64)
	s.suspended = func() time.Duration { return time.Duration(suspended.Load()) }
	return s, suspended, log
}

// Faults: C23.
func TestStandstillOfTheProcessIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, suspended, log := newTestStandstill(t)
		about := func(what string, got, want time.Duration) {
			t.Helper()
			if got > want || got < want-pulseInterval || want == 0 && got != 0 {
				t.Errorf("%s: stood still for %v, want %v", what, got, want)
			}
		}
		// Nothing looks meanwhile, as in a process that is stopped.
		before := s.begin()
		s.pulse.Stop()
		time.Sleep(8 * time.Second)
		about("stopped", s.end(before), 8*time.Second)
		if !strings.Contains(log.String(), "this process stood still") {
			t.Errorf("logged %q", log)
		}
		time.Sleep(time.Hour) // without a probe it does not matter
		before = s.begin()
		time.Sleep(tooShort)
		suspended.Add(int64(time.Minute))
		about("suspended", s.end(before), time.Minute)

		before = s.begin()
		time.Sleep(8 * time.Second)
		other := s.begin()
		time.Sleep(time.Minute)
		about("awake", s.end(before), 0)
		about("awake, later", s.end(other), 0)
		if s.pulse.Stop() {
			t.Error("it is looked for without a probe")
		}
	})
}

// Faults: C23.
func TestProbeDuringWhichTheProcessStoodStillSaysNothing(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		s := b.standstill
		var suspended, calls, until atomic.Int64 // it stands still in the calls up to that
		s.mu.Lock()
		s.suspended = func() time.Duration { return time.Duration(suspended.Load()) }
		s.mu.Unlock()
		b.setProbe(func(context.Context, string) (probe.Result, error) {
			if calls.Add(1) <= until.Load() {
				suspended.Add(int64(time.Hour))
				time.Sleep(tooShort)
				return probe.Result{}, errDown
			}
			return probe.Result{}, nil
		})
		b.mustApply(t, monitorTOML("m", "interval = 60"))
		time.Sleep(30 * time.Second)
		until.Store(3)
		time.Sleep(60 * time.Second) // two probes stand still, and are repeated within 10s each
		if i := b.List(Filter{})[0]; i.State != OK || i.Failures != 0 || i.Missed != 2 || calls.Load() != 4 {
			t.Errorf("%d probes: %+v", calls.Load(), i)
		}
		if got := eventsOf(b.notifications); strings.Join(got, " ") != "m:init" {
			t.Errorf("notified %q", got)
		}
		// A process that stands still again and again hides no failure for ever.
		until.Store(1000)
		time.Sleep(2 * time.Minute)
		if i := b.List(Filter{})[0]; i.State != Failing || i.Failures == 0 {
			t.Errorf("after %d more: %+v", calls.Load()-4, i)
		}
	})
}

// Faults: C23.
func TestShortStandstillsCountAgainstShortTimeoutsOnly(t *testing.T) {
	for _, c := range []struct {
		timeout, stood time.Duration
		want           bool
	}{
		{5 * time.Second, 0, false}, {5 * time.Second, 400 * time.Millisecond, false}, {5 * time.Second, 500 * time.Millisecond, true},
		{300 * time.Millisecond, 100 * time.Millisecond, false}, {300 * time.Millisecond, 150 * time.Millisecond, true},
	} {
		g := builtinGroup()
		r := g.newRunner(&Definition{Name: "m", Interval: 10 * time.Second, Timeout: c.timeout}, 1)
		if got := r.ignore(&measurement{stood: c.stood}); got != c.want {
			t.Errorf("timeout %v, stood still for %v: ignored %v, want %v", c.timeout, c.stood, got, c.want)
		}
	}
}
