package monitor

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

// Faults: G37.
func TestFirstProbesAreSpreadAndPhasesHold(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		const n = 500
		b.mustApply(t, manyMonitors(n, "interval = 20"))
		time.Sleep(99 * time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		perSecond := map[int]int{}
		for name, at := range b.starts {
			if len(at) != 5 {
				t.Fatalf("%s ran %d times, want 5", name, len(at))
			}
			// An offset of exactly ten seconds belongs to the tenth second.
			perSecond[int((at[0].Sub(b.began)-1)/time.Second)]++
			for i := 1; i < len(at); i++ {
				if at[i].Sub(at[i-1]) != 20*time.Second {
					t.Fatalf("%s ran %v after the time before", name, at[i].Sub(at[i-1]))
				}
			}
		}
		for s := range 10 {
			if c := perSecond[s]; c < n/10/2 || c > n/10*2 {
				t.Errorf("%d of %d first probes in second %d", c, n, s)
			}
		}
		if len(perSecond) > 10 {
			t.Errorf("first probes came over %d seconds", len(perSecond))
		}
	})
}

// TestProbesOfAnIntervalAreEven has monitors of three intervals, which alternate.
func TestProbesOfAnIntervalAreEven(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		intervals := []int{1, 5, 10}
		var text strings.Builder
		for i := range 3000 {
			text.WriteString(monitorTOML(fmt.Sprint(i), fmt.Sprint("interval = ", intervals[i%3])))
		}
		b.mustApply(t, text.String())
		time.Sleep(30 * time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		for k, interval := range intervals {
			perWake := map[time.Time]float64{}
			for i := k; i < 3000; i += 3 {
				for _, at := range b.starts[fmt.Sprint(i)] {
					perWake[at]++
				}
			}
			mean := 1000 / float64(time.Duration(interval)*time.Second/wakeInterval)
			for at, n := range perWake {
				since := at.Sub(b.began)
				if since > 10*time.Second && since < 29*time.Second && (n > 1.2*mean+1 || n < 0.8*mean-1) {
					t.Errorf("interval %d s: %v start together after %v, want about %.0f", interval, n, since, mean)
				}
			}
		}
	})
}

// TestDeadlineIsBelowTheInterval runs probes until their deadline. Time is left
// before the next one, and none is missed.
func TestDeadlineIsBelowTheInterval(t *testing.T) {
	for keys, want := range map[string]time.Duration{
		"interval = 10":                  9500 * time.Millisecond,
		"interval = 10\ntimeout = 10":    9500 * time.Millisecond,
		"interval = 10\ntimeout = 9.5":   9500 * time.Millisecond,
		"interval = 10\ntimeout = 3":     3 * time.Second,
		"interval = 1":                   950 * time.Millisecond,
		"interval = 60":                  57 * time.Second,
		"interval = 86400\ntimeout = 59": 59 * time.Second,
	} {
		withBench(t, func(t *testing.T, b *bench) {
			var mu sync.Mutex
			var had []time.Duration
			b.setProbe(func(ctx context.Context, _ string) (probe.Result, error) {
				began := time.Now()
				<-ctx.Done()
				mu.Lock()
				defer mu.Unlock()
				had = append(had, time.Since(began))
				return probe.Result{}, context.Cause(ctx)
			})
			b.mustApply(t, monitorTOML("m", keys))
			interval := b.List(Filter{})[0].Interval
			time.Sleep(4*interval + maxFirstDelay)
			mu.Lock()
			defer mu.Unlock()
			if len(had) < 4 {
				t.Fatalf("%s: %d probes in four intervals", keys, len(had))
			}
			for _, d := range had {
				if d != want || d >= interval {
					t.Errorf("%s: deadline of a probe %v, want %v", keys, d, want)
				}
			}
			if i := b.List(Filter{})[0]; i.Missed != 0 || i.Error != fmt.Sprintf("no answer within %v", want) {
				t.Errorf("%s: %d missed, error %q", keys, i.Missed, i.Error)
			}
		})
	}
}

// TestRetriesKeepThePhase has one failure that is not confirmed. Later probes run at
// the regular ticks.
// Faults: G39.
func TestRetriesKeepThePhase(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		calls := 0
		b.setProbe(func(context.Context, string) (probe.Result, error) {
			time.Sleep(137 * time.Millisecond)
			calls++
			if calls == 3 || calls == 8 || calls == 9 || calls == 10 {
				return probe.Result{}, errDown
			}
			return probe.Result{}, nil
		})
		b.apply(t, "a.toml", monitorTOML("m", "interval = 10\nfailures_before_alert = 3\nretry_interval = 1"))
		time.Sleep(79 * time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		var got []time.Duration
		for _, at := range b.starts["m"] {
			got = append(got, at.Sub(b.starts["m"][0]))
		}
		s := time.Second
		// Each retry starts one second after the previous result, rounded up to 25 ms.
		want := []time.Duration{0, 10 * s, 20 * s, 21150 * time.Millisecond, 30 * s, 40 * s, 50 * s, 60 * s, 61150 * time.Millisecond, 62300 * time.Millisecond, 70 * s}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("probes began after\n%v, want\n%v", got, want)
		}
		var events []string
		for _, n := range b.notifications {
			events = append(events, fmt.Sprintf("%s %d", n.Event, n.Failures))
		}
		if got, want := strings.Join(events, ", "), "init 0, fail 3, recover 3"; got != want {
			t.Errorf("notified %s, want %s", got, want)
		}
	})
}

// TestPhaseHoldsWhileConfirming has a monitor without retry_interval.
func TestPhaseHoldsWhileConfirming(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(taking(900*time.Millisecond, errDown))
		b.apply(t, "a.toml", monitorTOML("m", "interval = 10\nfailures_before_alert = 4"))
		time.Sleep(95 * time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		at := b.starts["m"]
		for i := range at {
			if got := at[i].Sub(at[0]); got != time.Duration(i)*10*time.Second {
				t.Errorf("probe %d came after %v", i, got)
			}
		}
	})
}

// TestFrozenProcessMakesNoBurst runs the scheduler late, as after a SIGSTOP. The
// missed probes are counted.
// Faults: T17.
func TestFrozenProcessMakesNoBurst(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		const n = 200
		b.mustApply(t, manyMonitors(n, "interval = 20"))
		time.Sleep(61 * time.Second)
		b.stop() // the scheduler does not run for five minutes
		b.mu.Lock()
		clear(b.starts)
		b.mu.Unlock()
		s := b.scheduler
		for _, r := range b.sorted() {
			whole, err := r.def.expand()
			if err != nil {
				t.Fatal(err)
			}
			p, err := b.build(whole)
			if err != nil {
				t.Fatal(err)
			}
			r.pipeline = p
			s.schedule(r.job, r.nextTick(s.clock.Now()))
		}
		time.Sleep(5 * time.Minute)
		woke := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		wait := testkit.Go(1, func(int) { _ = s.Run(ctx) })
		time.Sleep(60 * time.Second)
		cancel()
		wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		perSecond := map[int]int{}
		for name, at := range b.starts {
			perSecond[int(at[0].Sub(woke)/time.Second)]++
			for i := 2; i < len(at); i++ {
				if at[i].Sub(at[i-1]) != 20*time.Second {
					t.Fatalf("%s ran after %v", name, at[i].Sub(at[i-1]))
				}
			}
		}
		if len(b.starts) != n || len(perSecond) > 11 {
			t.Errorf("%d monitors ran, over %d seconds", len(b.starts), len(perSecond))
		}
		for second, c := range perSecond {
			if c > n/4 {
				t.Errorf("%d ran in second %d", c, second)
			}
		}
		for _, r := range b.sorted() {
			if r.missed < 14 || r.missed > 15 {
				t.Fatalf("%s missed %d", r.def.Name, r.missed)
			}
		}
	})
}
