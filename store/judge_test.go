package store

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// bubble runs a test on a clock that only moves when everybody waits, with a
// store that runs.
func bubble(t *testing.T, cfg Config, test func(t *testing.T, s *Store)) {
	t.Helper()
	bubbleWith(t, func() *Store { return New(cfg) }, test)
}

func bubbleWith(t *testing.T, create func() *Store, test func(t *testing.T, s *Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := create()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run returned %v", err)
			}
		}()
		synctest.Wait()
		test(t, s)
		verify(t, s)
	})
}

func unix() int64 { return time.Now().Unix() }

func wantLines(t *testing.T, s *Store, q TransitionQuery, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, lines(s, q)); diff != "" {
		t.Fatalf("transitions (-want +got):\n%s", diff)
	}
}

// TestExpiryIsExactToASecond follows one check from its report to oblivion.
// Faults: A15.
func TestExpiryIsExactToASecond(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Store) {
		begin := time.Now()
		mustPut(t, s, Accepted, check("n", "ping", failing, unix()).saying("connection refused"))
		seq := int64(0)
		for _, want := range []struct {
			at   time.Duration
			line string
		}{
			{0, "n/ping UNKNOWN->ERROR: first report"},
			{15 * time.Second, "n/ping ERROR->UNKNOWN: no report for 15s (interval 10s)"},
			{time.Hour, "n/ping UNKNOWN->MISSING: missing: no report for 1h0m0s (ttl 1h0m0s)"},
			{25 * time.Hour, "n/ping MISSING->FORGOTTEN: forgotten: missing for 24h0m0s"},
		} {
			if err := s.Wait(t.Context(), seq); err != nil { // woken by Run alone
				t.Fatal(err)
			}
			ts, next, gap := s.After(TransitionQuery{}, seq)
			if seq = next; len(ts) != 1 || gap || line(ts[0]) != want.line {
				t.Fatalf("got %+v, want %q", ts, want.line)
			}
			if late := time.Since(begin) - want.at; late < 0 || late > time.Second {
				t.Errorf("%s: noticed after %s", want.line, time.Since(begin))
			}
			if got := ts[0].Time.Sub(begin); got < want.at || got > want.at+time.Second {
				t.Errorf("%s: has the time %s", want.line, got)
			}
			if ts[0].Error != "connection refused" {
				t.Errorf("%s: the error is %q", want.line, ts[0].Error)
			}
		}
		if c := s.Counters(); c.Services+c.Nodes+c.Checks != 0 || c.Forgotten != 1 {
			t.Errorf("something is left: %+v", c)
		}
	})
}

// TestStalenessNeedsNoTimer asks a store that nobody runs.
// Faults: A15.
func TestStalenessNeedsNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		mustPut(t, s, Accepted, check("n", "ping", ok, unix()))
		time.Sleep(15*time.Second - 1)
		if c := theCheck(t, s, Query{}); c.Status != healthpb.HealthCheck_OK {
			t.Errorf("judged %s too early", c.Status)
		}
		time.Sleep(time.Nanosecond)
		c := theCheck(t, s, Query{})
		if c.Status != healthpb.HealthCheck_UNKNOWN || c.Reported != healthpb.HealthCheck_OK {
			t.Errorf("judged %s, reported %s, want UNKNOWN, OK", c.Status, c.Reported)
		}
		time.Sleep(2 * time.Hour)
		if p, err := s.Checks(Query{}); err != nil || p.Total != 0 {
			t.Errorf("a missing check is listed: %+v, %v", p, err)
		}
	})
}

// TestMissingNodesAreKeptAndReported: what falls silent for good is not just gone.
// Faults: A17.
func TestMissingNodesAreKeptAndReported(t *testing.T) {
	bubble(t, Config{Retention: 3 * time.Hour}, func(t *testing.T, s *Store) {
		mustPut(t, s, Accepted, check("n", "ping", ok, unix()), status("n", running, unix()), stats("n", unix()))
		time.Sleep(2 * time.Hour)
		if c := theCheck(t, s, Query{Missing: true}); !c.Missing || c.Reported != healthpb.HealthCheck_OK ||
			c.Status != healthpb.HealthCheck_UNKNOWN || c.Since != c.Received+15 {
			t.Errorf("the missing check is %+v", c)
		}
		if n := theNode(t, s, Query{Missing: true}); !n.Missing || n.Status != healthpb.Status_UNKNOWN {
			t.Errorf("the missing node is %+v", n)
		}
		for name, list := range map[string]func(Query) (int, error){
			"checks":   count(s.Checks),
			"nodes":    count(s.Nodes),
			"stats":    count(s.Stats),
			"summary":  count(s.Summary),
			"services": count(s.Services),
		} {
			plain, err := list(Query{})
			onRequest, err2 := list(Query{Missing: true, Service: "a", Node: "n"})
			if plain != 0 || onRequest != 1 || err != nil || err2 != nil {
				t.Errorf("%s: %d listed (%v), %d on request (%v), want 0 and 1", name, plain, err, onRequest, err2)
			}
		}
		if c := s.Counters(); c.MissingChecks != 1 || c.Checks != 1 || c.ChecksByStatus != [4]int{} {
			t.Errorf("counters: %+v", c)
		}
		// It comes back.
		mustPut(t, s, Accepted, check("n", "ping", ok, unix()))
		time.Sleep(150 * time.Minute)
		wantLines(t, s, TransitionQuery{},
			"n/ping UNKNOWN->OK: first report",
			"n/ UNKNOWN->RUNNING: first report",
			"n/ping OK->UNKNOWN: no report for 15s (interval 10s)",
			"n/ RUNNING->UNKNOWN: no report for 15s (interval 10s)",
			"n/ping UNKNOWN->MISSING: missing: no report for 1h0m0s (ttl 1h0m0s)",
			"n/ UNKNOWN->MISSING: missing: no report for 1h0m0s (ttl 1h0m0s)",
			"n/ping MISSING->OK: reported",
			"n/ping OK->UNKNOWN: no report for 15s (interval 10s)",
			"n/ping UNKNOWN->MISSING: missing: no report for 1h0m0s (ttl 1h0m0s)",
			"n/ MISSING->FORGOTTEN: forgotten: missing for 3h0m0s",
		)
	})
}

func count[T any](list func(Query) (Page[T], error)) func(Query) (int, error) {
	return func(q Query) (int, error) {
		p, err := list(q)
		return p.Total, err
	}
}

// TestKilledPublisherIsUnknownAndHistorySaysWhy is kill -9 of a publisher.
func TestKilledPublisherIsUnknownAndHistorySaysWhy(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Store) {
		var heard time.Time
		for range 6 {
			heard = time.Now()
			mustPut(t, s, Accepted, check("n", "ping", ok, unix()), status("n", running, unix()))
			time.Sleep(10 * time.Second)
		}
		time.Sleep(time.Until(heard.Add(15*time.Second - time.Millisecond)))
		if c := theCheck(t, s, Query{}); c.Status != healthpb.HealthCheck_OK {
			t.Fatalf("judged %s before interval and grace were over", c.Status)
		}
		time.Sleep(time.Second)
		if c, n := theCheck(t, s, Query{}), theNode(t, s, Query{}); c.Status != 0 || n.Status != 0 ||
			c.Reported != healthpb.HealthCheck_OK || n.Reported != healthpb.Status_RUNNING {
			t.Fatalf("a second later: check %s (%s), node %s (%s)", c.Status, c.Reported, n.Status, n.Reported)
		}
		ts, more, _, err := s.History(TransitionQuery{Service: "a", ID: "ping"}, 0)
		if err != nil || more || len(ts) != 2 || line(ts[0]) != "n/ping OK->UNKNOWN: no report for 15s (interval 10s)" {
			t.Errorf("history: %+v, %t, %v", ts, more, err)
		}
	})
}

// TestPublisherCannotExtendItsLife: neither timestamps nor intervals nor ttls of a
// publisher make an entry immortal, or vanish.
// Faults: A8.
func TestPublisherCannotExtendItsLife(t *testing.T) {
	century := int64(100 * 365 * 24 * 3600)
	for _, tc := range []struct {
		name                           string
		timestamp, interval, ttl       int64
		wantInterval, wantTTL, unknown time.Duration
		skewed, now                    bool
	}{
		{"sane", 0, 10, 3600, 10 * time.Second, time.Hour, 15 * time.Second, false, true},
		{"a century ahead", century, 10, 3600, 10 * time.Second, time.Hour, 15 * time.Second, true, true},
		{"a century ago", -20 * 365 * 24 * 3600, 10, 3600, 10 * time.Second, time.Hour, 15 * time.Second, true, false},
		{"largest", math.MaxInt64, math.MaxInt64, math.MaxInt64, time.Hour, 24 * time.Hour, 90 * time.Minute, true, true},
		{"smallest", math.MinInt64, math.MinInt64, math.MinInt64, time.Minute, time.Hour, 90 * time.Second, false, true},
		{"nothing", math.MinInt64, 0, 0, time.Minute, time.Hour, 90 * time.Second, false, true},
		{"tiny", 0, 1, 1, time.Second, time.Second, 3 * time.Second, false, true},
		{"four minutes ahead", 240, 10, 3600, 10 * time.Second, time.Hour, 15 * time.Second, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, s *Store) {
				ev := check("n", "ping", ok, unix()+tc.timestamp)
				if tc.timestamp == math.MaxInt64 || tc.timestamp == math.MinInt64 {
					ev.Timestamp = tc.timestamp
				}
				ev.Interval, ev.TTL = tc.interval, tc.ttl
				mustPut(t, s, Accepted, ev)
				c := theCheck(t, s, Query{})
				if c.Interval != tc.wantInterval || c.TTL != tc.wantTTL || c.Skewed != tc.skewed || (c.Timestamp == unix()) != tc.now {
					t.Fatalf("held as %+v", c)
				}
				time.Sleep(tc.unknown - time.Millisecond)
				if c := theCheck(t, s, Query{}); c.Status != healthpb.HealthCheck_OK {
					t.Error("judged too early")
				}
				time.Sleep(time.Second)
				if c := theCheck(t, s, Query{Missing: true}); c.Status != healthpb.HealthCheck_UNKNOWN {
					t.Error("judged too late")
				}
				time.Sleep(max(tc.wantTTL, tc.unknown))
				if c := theCheck(t, s, Query{Missing: true}); !c.Missing {
					t.Error("not missing after its ttl")
				}
				mustPut(t, s, Accepted, check("n", "ping", ok, unix()+1))
			})
		})
	}
}

// TestLongSilenceOfEverybody turns the wheel many times at once.
func TestLongSilenceOfEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		for i := range 1000 {
			ev := check(fmt.Sprint("n", i%50), fmt.Sprint("c", i/50), ok, 0)
			ev.Interval = int64(1 + i%3600)
			mustPut(t, s, Accepted, ev)
			time.Sleep(7 * time.Millisecond)
		}
		time.Sleep(10 * 24 * time.Hour)
		if c := s.Counters(); c.MissingChecks != 1000 {
			t.Errorf("%d are missing, want 1000", c.MissingChecks)
		}
		verify(t, s)
	})
}

// TestIntervalMayShrink: what was due in an hour is due in a second.
func TestIntervalMayShrink(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Store) {
		ev := check("n", "ping", ok, 0)
		ev.Interval = 3600
		mustPut(t, s, Accepted, ev)
		time.Sleep(time.Minute)
		ev.Interval = 1
		mustPut(t, s, Accepted, ev)
		time.Sleep(3250 * time.Millisecond)
		wantLines(t, s, TransitionQuery{},
			"n/ping UNKNOWN->OK: first report",
			"n/ping OK->UNKNOWN: no report for 3s (interval 1s)")
	})
}
