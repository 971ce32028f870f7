package store

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// outage is a restart.
type outage struct {
	lasts time.Duration // really
	wall  time.Duration // step of the wall clock meanwhile
	told  time.Duration // how long the store is told that it lasted
}

// restart ends a store and begins another one from its snapshot, after the outage.
func (o outage) restart(t *testing.T, s *Store, cfg Config) *Store {
	t.Helper()
	wall := s.clock.wall
	records := snapshot(t, s)
	time.Sleep(o.lasts)
	next := New(cfg)
	next.clock.wall = func() time.Time { return wall().Add(o.wall) }
	next.clock.readWall(0)
	for _, record := range records {
		if err := next.ReadSnapshot(SnapshotVersion, record); err != nil {
			t.Fatal(err)
		}
	}
	next.Resume(o.told)
	return next
}

// outages are those of the tests below: the wall clock is set back, set forward, and the
// machine may have been started meanwhile, so that only the wall clock tells for how long.
var outages = map[string]outage{
	"at once":                     {},
	"five minutes":                {5 * time.Minute, 0, 5 * time.Minute},
	"set back an hour":            {5 * time.Minute, -time.Hour, 5 * time.Minute},
	"set forward an hour":         {5 * time.Minute, time.Hour, 5 * time.Minute},
	"another boot":                {10 * time.Minute, 0, 10 * time.Minute},
	"another boot, set back":      {10 * time.Minute, -time.Hour, 0},
	"another boot, set forward":   {10 * time.Minute, 30 * 24 * time.Hour, 30 * 24 * time.Hour},
	"longer than ttl and longest": {40 * 24 * time.Hour, 0, 30 * 24 * time.Hour},
}

// eachOutage runs a test for each of the outages, and again for two in a row.
func eachOutage(t *testing.T, test func(t *testing.T, restart func(*testing.T, *Store) *Store, down time.Duration)) {
	t.Helper()
	for name, o := range outages {
		for _, times := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d times", name, times), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					test(t, func(t *testing.T, s *Store) *Store {
						for range times {
							s = o.restart(t, s, Config{})
						}
						return s
					}, o.told*time.Duration(times))
				})
			})
		}
	}
}

// TestTheTimeBetweenTwoRunsIsNoSilence: what was fresh has its time again from the start
// on, and what was stale goes on as if nothing had been between. Ages tell the truth.
func TestTheTimeBetweenTwoRunsIsNoSilence(t *testing.T) {
	eachOutage(t, func(t *testing.T, restart func(*testing.T, *Store) *Store, down time.Duration) {
		s := New(Config{})
		mustPut(t, s, Accepted, check("silent", "ping", failing, 0), stats("silent", 0))
		time.Sleep(50 * time.Minute)
		mustPut(t, s, Accepted, check("fresh", "ping", ok, 0), status("fresh", running, 0), stats("fresh", 0))
		time.Sleep(14 * time.Second)
		before := lines(s, TransitionQuery{})
		s = restart(t, s)
		if c := theCheck(t, s, Query{Node: "fresh"}); c.Age != down+14*time.Second || c.Status != healthpb.HealthCheck_OK {
			t.Errorf("at the start: %+v", c)
		}
		begin := time.Now()
		at := func(after time.Duration, want ...string) {
			t.Helper()
			time.Sleep(after - tick - time.Since(begin))
			wantLines(t, s, TransitionQuery{}, before...)
			time.Sleep(2 * tick)
			got := lines(s, TransitionQuery{})
			slices.Sort(got[len(before):]) // of one tick
			slices.Sort(want)
			if before = append(before, want...); !slices.Equal(got, before) {
				t.Errorf("got %q, want %q", got, before)
			}
			before = lines(s, TransitionQuery{})
		}
		past := func(d time.Duration) string { return (down + d).Truncate(time.Second).String() }
		stale := "UNKNOWN: no report for " + past(29*time.Second) + " (interval 10s)"
		at(15*time.Second, "fresh/ping OK->"+stale, "fresh/ RUNNING->"+stale)
		at(10*time.Minute-14*time.Second, "silent/ping UNKNOWN->MISSING: missing: no report for "+past(time.Hour)+" (ttl 1h0m0s)")
		missing := "UNKNOWN->MISSING: missing: no report for " + past(time.Hour+14*time.Second) + " (ttl 1h0m0s)"
		at(time.Hour, "fresh/ping "+missing, "fresh/ "+missing)
	})
}

// TestStatsAreNotOverdueAfterARestart unless they were before.
func TestStatsAreNotOverdueAfterARestart(t *testing.T) {
	eachOutage(t, func(t *testing.T, restart func(*testing.T, *Store) *Store, down time.Duration) {
		s := New(Config{})
		mustPut(t, s, Accepted, stats("silent", 0))
		time.Sleep(50 * time.Minute)
		mustPut(t, s, Accepted, stats("fresh", 0))
		time.Sleep(14 * time.Second)
		s = restart(t, s)
		for _, tc := range []struct {
			after                   time.Duration
			silent, fresh, fell, is bool // stale and missing
		}{
			{0, true, false, false, false},
			{14 * time.Second, true, false, false, false},
			{2 * time.Second, true, true, false, false},
			{10 * time.Minute, true, true, true, false},
			{50 * time.Minute, true, true, true, true},
		} {
			time.Sleep(tc.after)
			got := all(t, s.Stats, Query{Missing: true})
			if got[0].Stale != tc.fresh || got[1].Stale != tc.silent || got[0].Missing != tc.is || got[1].Missing != tc.fell {
				t.Errorf("%s later: %+v", tc.after, got)
			}
		}
		if got := all(t, s.Stats, Query{Missing: true})[0].Age; got != down+time.Hour+30*time.Second {
			t.Errorf("age %s", got)
		}
	})
}

// TestRetentionCountsTheTimeBetweenTwoRuns: for what was missing, and for what was
// stopped on purpose.
func TestRetentionCountsTheTimeBetweenTwoRuns(t *testing.T) {
	const begin = 2 * time.Hour // before the restart, of which one is the ttl
	for _, down := range []time.Duration{0, 5 * time.Minute, 24*time.Hour - 61*time.Minute, 24 * time.Hour, 29 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			mustPut(t, s, Accepted, check("gone", "ping", failing, 0), status("off", isStopped, 0))
			time.Sleep(begin/2 - 10*time.Minute)
			mustPut(t, s, Accepted, check("again", "ping", ok, 0))
			time.Sleep(10 * time.Minute)
			mustPut(t, s, Accepted, status("late", isStopped, 0), check("late", "ping", ok, 1))
			time.Sleep(begin/2 - 10*time.Minute)
			s.advance()
			time.Sleep(9 * time.Minute)
			s = outage{down, 0, down}.restart(t, s, Config{})
			go func() { _ = s.Run(t.Context()) }()
			left := map[string]time.Duration{"gone": 25 * time.Hour, "again": 25*time.Hour + 50*time.Minute, "off": 25 * time.Hour, "late": 26 * time.Hour}
			for node, forgotten := range left {
				left[node] = max(forgotten-down-(begin-time.Minute), 0)
			}
			started := time.Now()
			for _, node := range []string{"gone", "off", "again", "late"} {
				if wait := left[node] - time.Since(started) - time.Second; wait > 0 {
					time.Sleep(wait)
					if !s.Knows("a", node) {
						t.Errorf("down for %s: %s was forgotten too early", down, node)
					}
				}
				time.Sleep(2 * time.Second)
				if s.Knows("a", node) {
					t.Errorf("down for %s: %s is still known %s after the start", down, node, time.Since(started))
				}
			}
		})
	}
}

// TestNodesThatReportAgainChangeNothing: neither events from before the restart nor new
// ones are a transition, whatever happened to the clock.
func TestNodesThatReportAgainChangeNothing(t *testing.T) {
	eachOutage(t, func(t *testing.T, restart func(*testing.T, *Store) *Store, down time.Duration) {
		s := New(Config{})
		begin := unix()
		mustPut(t, s, Accepted, check("n", "ping", ok, begin), status("n", running, begin), check("n", "fails", failing, begin))
		before := lines(s, TransitionQuery{})
		s = restart(t, s)
		mustPut(t, s, Outdated, check("n", "ping", failing, begin-5))
		time.Sleep(10 * time.Second)
		mustPut(t, s, Accepted, check("n", "ping", ok, unix()), status("n", running, unix()), check("n", "fails", failing, unix()))
		wantLines(t, s, TransitionQuery{}, before...)
		if c := theCheck(t, s, Query{ID: "ping"}); c.Age != 0 || c.Timestamp < begin+10 {
			t.Errorf("got %+v", c)
		}
		time.Sleep(10 * time.Second)
		mustPut(t, s, Accepted, check("n", "ping", failing, unix()), check("n", "fails", ok, unix()))
		wantLines(t, s, TransitionQuery{}, append(before, "n/ping OK->ERROR: reported", "n/fails ERROR->OK: reported")...)
	})
}

// TestSequenceNumbersGoOnAboveAllKept, also if the clock was set back, and above those
// that came after the snapshot.
func TestSequenceNumbersGoOnAboveAllKept(t *testing.T) {
	eachOutage(t, func(t *testing.T, restart func(*testing.T, *Store) *Store, _ time.Duration) {
		s := New(Config{Transitions: 100})
		flip(t, s, "n", 150)
		_, kept, _ := s.After(TransitionQuery{}, 0)
		history, _, oldest, _ := s.History(TransitionQuery{Limit: MaxLimit}, 0)
		next := restart(t, s)
		flip(t, s, "n", 1000) // what the snapshot does not hold
		_, lost, _ := s.After(TransitionQuery{Limit: MaxLimit}, kept+900)

		restored, more, from, err := next.History(TransitionQuery{Limit: MaxLimit}, 0)
		if err != nil || more || from != oldest || len(restored) != 100 || restored[0] != history[0] || restored[99] != history[99] {
			t.Fatalf("%d transitions from %d on, want those from %d", len(restored), from, oldest)
		}
		if ts, resume, gap := next.After(TransitionQuery{}, history[3].Seq); len(ts) != 3 || !gap || resume <= lost {
			t.Errorf("%d transitions, continue at %d, gap %t", len(ts), resume, gap)
		}
		_, resume, gap := next.After(TransitionQuery{Limit: MaxLimit}, 0)
		if gap || resume <= lost {
			t.Errorf("all end at %d, gap %t", resume, gap)
		}
		mustPut(t, next, Accepted, check("n", "ping", failing, 0), check("n", "ping", ok, 0))
		ts, _, gap := next.After(TransitionQuery{}, resume)
		if len(ts) == 0 || ts[0].Seq != resume+1 || ts[0].Seq <= lost || gap {
			t.Errorf("after %d come %+v, gap %t", resume, ts, gap)
		}
		if _, _, gap := next.After(TransitionQuery{}, lost); !gap {
			t.Error("what was lost leaves no gap")
		}
		if c := next.Counters(); c.Transitions > 2 {
			t.Errorf("%d transitions are new", c.Transitions)
		}
	})
}

// TestANightlyJobSurvivesARestart, whether its service is believed or its node was.
// Faults: U1.
func TestANightlyJobSurvivesARestart(t *testing.T) {
	eachOutage(t, func(t *testing.T, restart func(*testing.T, *Store) *Store, _ time.Duration) {
		s := New(Config{})
		s.Believe("a", "job", true)
		ev := check("job", "backup", ok, 0)
		ev.Interval, ev.TTL = 86400, 2*86400
		mustPut(t, s, Accepted, ev)
		time.Sleep(20 * time.Hour)
		s = restart(t, s)
		time.Sleep(23 * time.Hour)
		if c := theCheck(t, s, Query{ID: "backup"}); c.Status != healthpb.HealthCheck_OK || c.Interval != 24*time.Hour || c.TTL != 48*time.Hour {
			t.Errorf("got %+v", c)
		}
		s.Believe("a", "job", true)
		s.Believe("a", "job", false) // the registry takes it back
		if c := theCheck(t, s, Query{ID: "backup", Missing: true}); c.Interval != time.Hour {
			t.Errorf("got %+v", c)
		}
	})
}

// TestProvenNodesStayProven: a flood after the start does not evict them.
func TestProvenNodesStayProven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		mustPut(t, s, Accepted, check("a-real", "ping", ok, 0), check("invented", "ping", ok, 0))
		time.Sleep(5 * time.Second)
		mustPut(t, s, Accepted, check("a-real", "ping", ok, 0))
		s = outage{time.Minute, 0, time.Minute}.restart(t, s, Config{MaxEntries: 2, Share: 1})
		time.Sleep(time.Minute)
		s.Believe("a", "new", true)
		mustPut(t, s, Accepted, check("new", "ping", ok, 0))
		if !s.Knows("a", "a-real") || s.Knows("a", "invented") {
			t.Error("a node that has reported once only is kept")
		}
	})
}

// TestOwnNodeOfTheFormerRunIsStopped, and results of monitors belong to the present one.
func TestOwnNodeOfTheFormerRunIsStopped(t *testing.T) {
	for name, o := range map[string]Config{
		"another id":      {Own: "me-2", OwnService: "a", OwnVersion: "1"},
		"another version": {Own: "me-1", OwnService: "a", OwnVersion: "2"},
		"the same":        {Own: "me-1", OwnService: "a", OwnVersion: "1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{Own: "me-1", OwnService: "a", OwnVersion: "1"})
			result := check("me-1", "monitor.db", failing, 0)
			result.Source = healthpb.HealthCheck_MONITOR
			mustPut(t, s, Accepted, status("me-1", running, 0), check("me-1", "queue", ok, 0), result)
			before := lines(s, TransitionQuery{})
			s = outage{time.Minute, 0, time.Minute}.restart(t, s, o)
			result.Node, result.Version = []byte(o.Own), []byte(o.OwnVersion)
			mustPut(t, s, Accepted, result)
			if c := theCheck(t, s, Query{ID: "monitor.db"}); c.Node != o.Own || c.Version != o.OwnVersion || c.Status != healthpb.HealthCheck_ERROR {
				t.Errorf("%s: %+v", name, c)
			}
			queue := theCheck(t, s, Query{ID: "queue", Missing: true})
			if name != "the same" {
				before = append(before, "me-1/ RUNNING->STOPPED: reported")
			}
			if queue.Stopped != (name != "the same") {
				t.Errorf("%s: %+v", name, queue)
			}
			wantLines(t, s, TransitionQuery{}, before...)
		})
	}
}
