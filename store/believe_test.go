package store

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// every gives an event an interval and a ttl.
func (e *Event) every(interval, ttl time.Duration) *Event {
	e.Interval, e.TTL = int64(interval/time.Second), int64(ttl/time.Second)
	return e
}

const day = 24 * time.Hour

// Long intervals and ttls are believed of what somebody vouches for, whether that is known
// before the event or after it.
// Faults: S6.
func TestLongIntervalsAreBelievedFromKnownPublishersOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		believe       func(s *Store)
		interval, ttl time.Duration
	}{
		"nobody":          {func(*Store) {}, time.Hour, day},
		"another node":    {func(s *Store) { s.Believe("a", "m", true) }, time.Hour, day},
		"another service": {func(s *Store) { s.Believe("b", "n", true); s.Believe("b", "", true) }, time.Hour, day},
		"the node":        {func(s *Store) { s.Believe("a", "n", true) }, 400 * day, 800 * day},
		"the service":     {func(s *Store) { s.Believe("a", "", true) }, 400 * day, 800 * day},
		"no longer":       {func(s *Store) { s.Believe("a", "n", true); s.Believe("a", "n", false) }, time.Hour, day},
		"still the service": {func(s *Store) {
			s.Believe("a", "n", true)
			s.Believe("a", "", true)
			s.Believe("a", "n", false)
		}, 400 * day, 800 * day},
	} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s first %t", name, first), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := New(Config{})
					if first {
						tc.believe(s)
					}
					mustPut(t, s, Accepted, check("n", "c", ok, unix()).every(math.MaxInt64, math.MaxInt64))
					if !first {
						tc.believe(s)
					}
					if c := theCheck(t, s, Query{}); c.Interval != tc.interval || c.TTL != tc.ttl {
						t.Errorf("believed are %v and %v, want %v and %v", c.Interval, c.TTL, tc.interval, tc.ttl)
					}
					time.Sleep(tc.interval*3/2 - time.Second)
					if c := theCheck(t, s, Query{}); c.Status != healthpb.HealthCheck_OK {
						t.Errorf("before one and a half intervals it is %v", c.Status)
					}
					time.Sleep(2 * time.Second)
					if c := theCheck(t, s, Query{}); c.Status != healthpb.HealthCheck_UNKNOWN {
						t.Errorf("after one and a half intervals it is %v", c.Status)
					}
					verify(t, s)
				})
			})
		}
	}
}

// A job that runs each night is fresh for a day once the registry vouches for its node.
// Faults: S6.
func TestBeliefChangesWhenAReportIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		mustPut(t, s, Accepted, check("n", "nightly", ok, unix()).every(day, 2*day))
		time.Sleep(time.Minute)
		s.Believe("a", "n", true)
		time.Sleep(30 * time.Hour)
		if c := theCheck(t, s, Query{}); c.Status != healthpb.HealthCheck_OK {
			t.Errorf("a day later it is %v", c.Status)
		}
		s.Believe("a", "n", false)
		time.Sleep(time.Second)
		if c := theCheck(t, s, Query{Missing: true}); !c.Missing {
			t.Errorf("after the registry has lost the node it is %+v", c)
		}
		verify(t, s)
	})
}

func TestIntervalsArePackedWithoutLossUpToNineHours(t *testing.T) {
	for seconds, want := range map[int64]int64{
		1: 1, 60: 60, 3600: 3600, exactSeconds: exactSeconds, exactSeconds + 1: 34200,
		36000: 36000, 40000: 41400, 86400: 86400, 604800: 604800, maxInterval: maxInterval, maxInterval - 1: maxInterval,
	} {
		if got := packInterval(seconds).seconds(); got != want {
			t.Errorf("%d s is held as %d s, want %d s", seconds, got, want)
		}
	}
}

// flood fills a store with invented publishers that claim to report for years, and report
// twice.
func flood(s *Store, event func(i int) *Event) {
	for range 2 {
		for i := range 3000 {
			s.Put(event(i).every(math.MaxInt64, math.MaxInt64))
		}
		time.Sleep(3 * time.Second)
	}
}

// Whatever is invented, what somebody vouches for finds room, and keeps it.
// Faults: S6.
func TestInventedPublishersNeverCrowdOutKnownOnes(t *testing.T) {
	invented := map[string]func(i int) *Event{
		"services": func(i int) *Event { return check("n", "c", failing, 0).of(fmt.Sprint("evil-", i), "1") },
		"nodes":    func(i int) *Event { return check(fmt.Sprint("evil-", i), "c", ok, 0).of("known-2", "1") },
		"versions": func(i int) *Event { return status("n", running, 0).of("known-3", fmt.Sprint(i)) },
		"checks":   func(i int) *Event { return check(fmt.Sprint("evil-", i%90), fmt.Sprint(i), ok, 0).of("evil", "1") },
		"bytes": func(i int) *Event {
			return check("n", "c", ok, 0).of(fmt.Sprint("evil-", i), "1").saying(string(make([]byte, 4000)))
		},
	}
	for name, event := range invented {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Config{MaxServices: 50, MaxNodes: 100, MaxEntries: 300, MaxBytes: 100 << 10})
				known := func(i int) *Event {
					return check(fmt.Sprint("known-", i), "c", ok, 0).of(fmt.Sprint("known-", i), "1").every(10*time.Second, time.Hour)
				}
				for i := range 20 {
					if s.Believe(fmt.Sprint("known-", i), fmt.Sprint("known-", i), true); i%2 == 0 {
						s.Believe(fmt.Sprint("known-", i), "", i == 0)
					}
				}
				for i := range 10 {
					mustPut(t, s, Accepted, known(i))
				}
				flood(s, event)
				for i := range 20 {
					mustPut(t, s, Accepted, known(i))
				}
				flood(s, event)
				for i := range 20 {
					if _, err := s.Checks(Query{Service: fmt.Sprint("known-", i), Node: fmt.Sprint("known-", i)}); err != nil {
						t.Errorf("%d is crowded out: %v", i, err)
					}
				}
				verify(t, s)
			})
		})
	}
}

// What was reported only once, by somebody nobody vouches for, makes room for others as soon
// as it is stale, whatever ttl it claims. What was reported again does not.
// Faults: S6.
func TestWhatWasReportedOnceMakesRoomWhenItIsStale(t *testing.T) {
	for name, cfg := range map[string]Config{
		"services": {MaxServices: 50}, "nodes": {MaxNodes: 50, Share: 1}, "entries": {MaxEntries: 50, Share: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(cfg)
				event := func(i int) *Event {
					return check(fmt.Sprint("n", i), "c", ok, 0).of(fmt.Sprint("s", i), "1").every(10*time.Second, math.MaxInt64)
				}
				for i := range 50 {
					mustPut(t, s, Accepted, event(i))
				}
				mustPut(t, s, Refused, event(50))
				time.Sleep(5 * time.Second)
				mustPut(t, s, Accepted, event(0))
				time.Sleep(11 * time.Second)
				for i := range 49 {
					mustPut(t, s, Accepted, event(100+i))
				}
				mustPut(t, s, Refused, event(200))
				if _, err := s.Checks(Query{Service: "s0"}); err != nil {
					t.Errorf("what was reported again is gone: %v", err)
				}
				if _, err := s.Checks(Query{Service: "s1"}); !errors.Is(err, ErrNotFound) {
					t.Errorf("what was reported once is still there: %v", err)
				}
				verify(t, s)
			})
		})
	}
}

// Own checks are those of the instance, so nobody makes them go.
// Faults: S6.
func TestOwnNodeIsNeverCrowdedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Own: "own", MaxEntries: 20, MaxServices: 5})
		mustPut(t, s, Accepted, check("own", "store", ok, 0))
		time.Sleep(30 * time.Minute)
		for i := range 100 {
			s.Believe(fmt.Sprint("s", i), "", true)
			s.Put(check("n", "c", ok, 0).of(fmt.Sprint("s", i), "1"))
		}
		if _, err := s.Checks(Query{Node: "own"}); err != nil {
			t.Error(err)
		}
		verify(t, s)
	})
}
