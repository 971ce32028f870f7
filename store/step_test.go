package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// TestPublisherWhoseClockStepsBackIsAccepted: a publisher whose clock steps back is
// heard again at its second event, and one that is off all the time is heard and
// flagged.
// Faults: T18.
func TestPublisherWhoseClockStepsBackIsAccepted(t *testing.T) {
	for _, tc := range []struct {
		interval int64
		back     time.Duration
		skewed   bool
	}{
		{10, time.Hour, true},
		{10, 11 * time.Second, false},
		{10, 4 * time.Minute, false},
		{1, time.Minute, false},
		{60, 365 * 24 * time.Hour, true},
		{3600, 2 * time.Hour, true},
	} {
		t.Run(fmt.Sprintf("%s at interval %d", tc.back, tc.interval), func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, s *Store) {
				offset := int64(0)
				put := func() Outcome {
					ev := check("n", "ping", ok, unix()+offset)
					ev.Interval = tc.interval
					return s.Put(ev)
				}
				interval := time.Duration(tc.interval) * time.Second
				for range 3 {
					if got := put(); got != Accepted {
						t.Fatalf("before: %d", got)
					}
					time.Sleep(interval)
				}
				offset = -int64(tc.back / time.Second)
				if got := put(); got != Outdated {
					t.Errorf("the first event after the step: %d, want Stale", got)
				}
				for n := range 3 {
					time.Sleep(interval + 300*time.Millisecond) // timers are not exact
					if got := put(); got != Accepted {
						t.Errorf("event %d after the first: %d, want Accepted", n, got)
					}
				}
				c := theCheck(t, s, Query{})
				if c.Status != healthpb.HealthCheck_OK || c.Skewed != tc.skewed {
					t.Errorf("held as %+v", c)
				}
				if len(s.marks) != 0 {
					t.Error("a mark is left")
				}
				// What was heard meanwhile was no silence.
				for _, line := range lines(s, TransitionQuery{}) {
					if strings.Contains(line, "->UNKNOWN: no report") {
						t.Error(line)
					}
				}
			})
		})
	}
}

// Faults: T18.
func TestPublisherWhoseClockIsOffIsFlagged(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Store) {
		for range 10 {
			mustPut(t, s, Accepted,
				check("behind", "ping", ok, unix()-3600), check("ahead", "ping", ok, unix()+3600))
			time.Sleep(10 * time.Second)
		}
		p, err := s.Checks(Query{})
		if err != nil || p.Total != 2 {
			t.Fatalf("%+v, %v", p, err)
		}
		for _, c := range p.Items {
			if !c.Skewed || c.Status != healthpb.HealthCheck_OK || c.Received != unix()-10 {
				t.Errorf("held as %+v", c)
			}
		}
		if c := s.Counters(); c.Skewed != 20 {
			t.Errorf("%d events were skewed, want 20", c.Skewed)
		}
		// Its clock is set right.
		mustPut(t, s, Accepted, check("ahead", "ping", ok, unix()))
	})
}

// TestReplaysAreNoClockStep: old events in any of the ways in which brokers repeat
// them never overwrite newer ones.
func TestReplaysAreNoClockStep(t *testing.T) {
	const interval = 10
	replays := map[string]func(put func(age int64), wait func(time.Duration)){
		"burst in order": func(put func(int64), _ func(time.Duration)) {
			for age := int64(3600); age > 0; age -= interval {
				put(age)
			}
		},
		"in order, ten times as fast": func(put func(int64), wait func(time.Duration)) {
			for age := int64(3600); age > 0; age -= interval {
				put(age)
				wait(time.Second)
			}
		},
		"in order, three times as fast": func(put func(int64), wait func(time.Duration)) {
			for age := int64(3600); age > 0; age -= interval {
				put(age)
				wait(3300 * time.Millisecond)
			}
		},
		"the same event again and again": func(put func(int64), wait func(time.Duration)) {
			for range 100 {
				put(100)
				wait(2500 * time.Millisecond)
			}
		},
		"backwards, in real time": func(put func(int64), wait func(time.Duration)) {
			for age := int64(20); age < 3600; age += 2 * interval {
				put(age)
				wait(interval * time.Second)
			}
		},
		"shuffled over 12 seconds": func(put func(int64), wait func(time.Duration)) {
			rnd := rand.New(rand.NewPCG(7, 8))
			for range 50 {
				for _, i := range rnd.Perm(60) {
					put(int64(1+i) * interval)
					wait(200 * time.Millisecond)
				}
			}
		},
	}
	for name, replay := range replays {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Config{})
				newest := unix()
				mustPut(t, s, Accepted, check("n", "ping", ok, newest))
				replay(func(age int64) {
					ev := check("n", "ping", failing, newest-age)
					ev.Interval = interval
					mustPut(t, s, Outdated, ev)
				}, time.Sleep)
			})
		})
	}
	t.Run("late, between new ones", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			for range 100 {
				mustPut(t, s, Accepted, check("n", "ping", ok, unix()))
				time.Sleep(6 * time.Second)
				mustPut(t, s, Outdated, check("n", "ping", failing, unix()-7)) // held up by one second
				time.Sleep(4 * time.Second)
			}
		})
	})
}
