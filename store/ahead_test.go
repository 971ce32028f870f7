package store

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// A timestamp ahead of our clock hides the reports of the same publisher for an interval at
// most, whatever interval the event itself claims.
// Faults: S6.
func TestTimestampAheadOfOurClockHidesReportsForAnIntervalAtMost(t *testing.T) {
	for name, tc := range map[string]struct {
		ahead, interval int64 // of the forged event
	}{
		"five minutes":                 {295, 10},
		"with the longest interval":    {295, math.MaxInt64},
		"without an interval":          {295, 0},
		"twenty seconds":               {20, 3600},
		"a century, which counts as 0": {3e9, 3600},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Config{})
				mustPut(t, s, Accepted, check("n", "c", ok, unix()), status("n", running, unix()))
				time.Sleep(3 * time.Second)
				for _, forged := range []*Event{check("n", "c", failing, unix()+tc.ahead), status("n", isStopped, unix()+tc.ahead)} {
					forged.Interval, forged.TTL = tc.interval, tc.interval
					mustPut(t, s, Accepted, forged)
				}
				forgedAt := time.Now()
				for {
					time.Sleep(7 * time.Second) // not in step with the forger
					s.Put(check("n", "c", ok, unix()))
					s.Put(status("n", running, unix()))
					if time.Since(forgedAt) > 10*time.Second {
						break
					}
				}
				if c := theCheck(t, s, Query{}); c.Status != healthpb.HealthCheck_OK {
					t.Errorf("%v after the forged event the check is %v", time.Since(forgedAt), c.Status)
				}
				if n := theNode(t, s, Query{}); n.Status != healthpb.Status_RUNNING {
					t.Errorf("%v after the forged event the node is %v", time.Since(forgedAt), n.Status)
				}
				verify(t, s)
			})
		})
	}
}

// A publisher whose clock is a little ahead is protected from delayed events as any other.
func TestDelayedEventsDoNotReplaceThoseOfAClockThatIsSlightlyAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		mustPut(t, s, Accepted, check("n", "c", failing, unix()+2))
		time.Sleep(11 * time.Second)
		mustPut(t, s, Outdated, check("n", "c", ok, unix()-60))
	})
}

// Of two statuses of one second STOPPED is the later one, in whatever order they arrive.
// Faults: M3.
func TestStoppedWinsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, order := range [][]int32{{running, isStopped}, {isStopped, running}} {
			s := New(Config{})
			for _, x := range order {
				s.Put(status("n", x, unix()))
			}
			if n := theNode(t, s, Query{}); n.Status != healthpb.Status_STOPPED {
				t.Errorf("after %v the node is %v", order, n.Status)
			}
			mustPut(t, s, Accepted, status("n", running, unix()+1))
			if n := theNode(t, s, Query{}); n.Status != healthpb.Status_RUNNING {
				t.Errorf("a second later the node is %v", n.Status)
			}
			// Without timestamps the order of arrival counts.
			mustPut(t, s, Accepted, status("n", isStopped, 0), status("n", started, 0))
			if n := theNode(t, s, Query{}); n.Status != healthpb.Status_STARTED {
				t.Errorf("without timestamps the node is %v", n.Status)
			}
		}
	})
}

// What a node published before it stopped counts no longer, also if it arrives later.
// Faults: M3.
func TestReportsFromBeforeTheStopAreHiddenInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		time.Sleep(time.Minute)
		mustPut(t, s, Accepted, check("n", "known", ok, unix()-10))
		mustPut(t, s, Accepted, status("n", isStopped, unix()))
		mustPut(t, s, Accepted, check("n", "known", failing, unix()-1), check("n", "new", failing, unix()), stats("n", unix()))
		if p, err := s.Checks(Query{}); err != nil || p.Total != 0 {
			t.Errorf("listed after the stop: %+v, %v", p.Items, err)
		}
		if p, err := s.Stats(Query{}); err != nil || p.Total != 0 {
			t.Errorf("listed after the stop: %+v, %v", p.Items, err)
		}
		// A node that returns under the same id is listed again.
		time.Sleep(time.Second)
		mustPut(t, s, Accepted, check("n", "known", ok, unix()))
		if c := theCheck(t, s, Query{}); c.ID != "known" || c.Stopped {
			t.Errorf("a newer check is %+v", c)
		}
		mustPut(t, s, Accepted, status("n", started, unix()))
		if p, err := s.Stats(Query{}); err != nil || p.Total != 1 {
			t.Errorf("after the return: %+v, %v", p.Items, err)
		}
		verify(t, s)
	})
}
