package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// TestWallClockJumpsChangeNothing but what is shown, also to the year 2226 and back.
// Faults: T16, S14.
func TestWallClockJumpsChangeNothing(t *testing.T) {
	year := 365 * 24 * time.Hour
	jumps := []time.Duration{time.Hour, -time.Hour, year, -year, -60 * year, 0, 226 * year, 0}
	for i := range 100 {
		jumps = append(jumps, time.Duration(i%2*2-1)*10*time.Minute)
	}
	bubble(t, Config{}, func(t *testing.T, s *Store) {
		var jump time.Duration
		s.mu.Lock()
		s.clock.wall = func() time.Time { return time.Now().Add(jump) }
		s.mu.Unlock()
		for i, jump2 := range jumps {
			s.mu.Lock()
			jump = jump2
			s.mu.Unlock()
			node := fmt.Sprint("n", i)
			mustPut(t, s, Accepted, check(node, "ping", ok, 0))
			time.Sleep(14500 * time.Millisecond)
			if c := theCheck(t, s, Query{Node: node}); c.Status != healthpb.HealthCheck_OK {
				t.Fatalf("jump of %s: judged too early", jump)
			}
			time.Sleep(time.Second)
			if c := theCheck(t, s, Query{Node: node}); c.Status != healthpb.HealthCheck_UNKNOWN || c.Since < 0 {
				t.Fatalf("jump of %s: judged too late: %+v", jump, c)
			}
			ts, _, _, err := s.History(TransitionQuery{Node: node, Limit: 1}, 0)
			if err != nil || ts[0].Why != "no report for 15s (interval 10s)" {
				t.Fatalf("jump of %s: %+v, %v", jump, ts, err)
			}
		}
		time.Sleep(2 * time.Hour)
		if c := s.Counters(); c.MissingChecks != len(jumps) {
			t.Errorf("%d checks are missing, want %d", c.MissingChecks, len(jumps))
		}
	})
}

// TestLivePublishersSurviveWallClockJumps: a clock of ours that was set back
// makes every publisher seem to live in the future, and its events must still be
// ordered and taken.
// Faults: T16, S14.
func TestLivePublishersSurviveWallClockJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	bubble(t, Config{}, func(t *testing.T, s *Store) {
		var jump time.Duration
		s.mu.Lock()
		s.clock.wall = func() time.Time { return time.Now().Add(jump) }
		s.mu.Unlock()
		sent := time.Now().Unix()
		put := func(want Outcome, timestamp int64) {
			t.Helper()
			ev := check("n", "ping", ok, 0)
			ev.Timestamp = timestamp
			mustPut(t, s, want, ev)
		}
		put(Accepted, sent)
		for _, jump2 := range []time.Duration{time.Hour, -time.Hour, year, -year, 0, 226 * year, 0, -10 * time.Minute, 10 * time.Minute, 0} {
			s.mu.Lock()
			jump = jump2
			s.mu.Unlock()
			for range 3 {
				time.Sleep(10 * time.Second)
				sent = time.Now().Unix() // the publisher's clock is right
				put(Accepted, sent)
				put(Outdated, sent-20)
			}
		}
		if c := theCheck(t, s, Query{ID: "ping"}); c.Status != healthpb.HealthCheck_OK || c.Timestamp != sent {
			t.Errorf("in the end %+v, want timestamp %d", c, sent)
		}
		ts, _, _, err := s.History(TransitionQuery{ID: "ping"}, 0)
		if err != nil || len(ts) != 1 {
			t.Errorf("transitions %+v, %v; want the first report only", ts, err)
		}
		// While our clock is wrong, no single event can run away into the future.
		s.mu.Lock()
		jump = -year
		s.mu.Unlock()
		time.Sleep(10 * time.Second)
		put(Accepted, sent+100*365*24*3600)
		time.Sleep(10 * time.Minute)
		put(Accepted, time.Now().Unix())
	})
}

// TestEventsWithoutATimestampSurviveWallClockJumps: what does not say when it was
// made, such as the results of our own monitors, is in the order in which it came.
// Faults: T16.
func TestEventsWithoutATimestampSurviveWallClockJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, back := range []time.Duration{2 * time.Second, 4 * time.Minute, time.Hour, year, -226 * year} {
		bubble(t, Config{}, func(t *testing.T, s *Store) {
			var jump time.Duration
			s.mu.Lock()
			s.clock.wall = func() time.Time { return time.Now().Add(jump) }
			s.mu.Unlock()
			mustPut(t, s, Accepted, check("n", "ping", ok, 0), status("n", running, 0), stats("n", 0))
			s.mu.Lock()
			jump = -back
			s.mu.Unlock()
			for i := range 6 {
				if i == 3 {
					s.mu.Lock()
					jump = 0
					s.mu.Unlock()
				}
				time.Sleep(10 * time.Second)
				mustPut(t, s, Accepted, check("n", "ping", failing, 0), status("n", running, 0), stats("n", 0))
			}
			wantLines(t, s, TransitionQuery{},
				"n/ping UNKNOWN->OK: first report", "n/ UNKNOWN->RUNNING: first report", "n/ping OK->ERROR: reported")
		})
	}
}

// freezer makes the raw clock of a store jump, which is what a process sees that
// was stopped and continued.
type freezer struct{ jump atomic.Int64 }

func (f *freezer) store() *Store {
	s := New(Config{})
	mono := s.clock.mono
	s.clock.mono = func() time.Duration { return mono() + time.Duration(f.jump.Load()) }
	return s
}

// TestFrozenTimeDoesNotCountAgainstPublishers, whoever looks first afterwards.
// Faults: T17.
func TestFrozenTimeDoesNotCountAgainstPublishers(t *testing.T) {
	look := map[string]func(t *testing.T, s *Store){
		"run":   func(*testing.T, *Store) {},
		"query": func(t *testing.T, s *Store) { theCheck(t, s, Query{ID: "ping"}) },
		"put":   func(t *testing.T, s *Store) { mustPut(t, s, Accepted, check("n", "other", ok, 0)) },
	}
	for name, first := range look {
		for _, d := range []time.Duration{6 * time.Second, 5 * time.Minute, 48 * time.Hour} {
			t.Run(fmt.Sprint(name, " after ", d), func(t *testing.T) {
				var f freezer
				bubbleWith(t, f.store, func(t *testing.T, s *Store) {
					mustPut(t, s, Accepted, check("n", "ping", ok, 0))
					time.Sleep(10*time.Second + 100*time.Millisecond)
					f.jump.Store(int64(d))
					first(t, s)
					time.Sleep(4 * time.Second)
					if c := theCheck(t, s, Query{ID: "ping"}); c.Status != healthpb.HealthCheck_OK {
						t.Fatal("the frozen time counted")
					}
					time.Sleep(2 * time.Second) // the clock goes on
					if c := theCheck(t, s, Query{ID: "ping"}); c.Status != healthpb.HealthCheck_UNKNOWN {
						t.Fatal("the clock stands still")
					}
				})
			})
		}
	}
}

// TestTimeWithoutRunCounts: if nobody runs the store, time passes unseen.
// Faults: T17.
func TestTimeWithoutRunCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f freezer
		s := f.store()
		mustPut(t, s, Accepted, check("n", "ping", ok, 0))
		f.jump.Store(int64(time.Minute))
		if c := theCheck(t, s, Query{}); c.Status != healthpb.HealthCheck_UNKNOWN {
			t.Error("a minute of silence did not count")
		}
	})
}

// TestAgesFollowTheMonotonicClock: what probes judge the silence of stats by is
// moved neither by the wall clock nor by time that the process was stopped.
// Faults: T16.
func TestAgesFollowTheMonotonicClock(t *testing.T) {
	var f freezer
	bubbleWith(t, f.store, func(t *testing.T, s *Store) {
		var jump time.Duration
		s.mu.Lock()
		s.clock.wall = func() time.Time { return time.Now().Add(jump) }
		s.mu.Unlock()
		mustPut(t, s, Accepted, check("n", "ping", ok, 0), stats("n", 0))
		want := time.Duration(0)
		look := func(when string) {
			t.Helper()
			p, err := s.Stats(Query{})
			if err != nil || len(p.Items) != 1 || p.Items[0].Age != want {
				t.Errorf("%s: stats %+v, %v; want age %v", when, p.Items, err, want)
			}
			if c := theCheck(t, s, Query{ID: "ping"}); c.Age != want {
				t.Errorf("%s: the check is %v old, want %v", when, c.Age, want)
			}
		}
		look("at once")
		for _, jump2 := range []time.Duration{time.Hour, -time.Hour} {
			s.mu.Lock()
			jump = jump2
			s.mu.Unlock()
			time.Sleep(3 * time.Second)
			want += 3 * time.Second
			look(fmt.Sprint("after a jump of ", jump2))
		}
		// A tick that was seen may lie up to that long before the gap.
		synctest.Wait()
		f.jump.Store(int64(time.Hour))
		p, err := s.Stats(Query{})
		if err != nil || len(p.Items) != 1 || p.Items[0].Age > want || p.Items[0].Age < want-frozenAfter {
			t.Errorf("continued after an hour: %+v, %v; want about %v", p.Items, err, want)
		}
	})
}

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
