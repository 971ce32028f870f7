package store

import (
	"testing"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// TestCleanStopRaisesNothing: after STOPPED nothing is UNKNOWN or missing.
func TestCleanStopRaisesNothing(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Store) {
		mustPut(t, s, Accepted, status("n", running, unix()), check("n", "ping", ok, unix()), stats("n", unix()))
		time.Sleep(10 * time.Second)
		mustPut(t, s, Accepted, status("n", isStopped, unix()))
		time.Sleep(4 * time.Second)
		if c := theCheck(t, s, Query{}); c.Status != healthpb.HealthCheck_OK {
			t.Errorf("the check is %s while it is not late", c.Status)
		}
		time.Sleep(2 * time.Second)
		if p, err := s.Checks(Query{}); err != nil || p.Total != 0 {
			t.Errorf("the check of a stopped node is listed: %+v, %v", p, err)
		}
		c := theCheck(t, s, Query{Missing: true})
		if c.Status != healthpb.HealthCheck_OK || !c.Stopped || c.Missing {
			t.Errorf("on request it is %+v", c)
		}
		time.Sleep(time.Hour)
		if _, err := s.Checks(Query{ID: "ping", Missing: true}); err == nil {
			t.Error("the check is kept for longer than its ttl")
		}
		time.Sleep(22 * time.Hour)
		if n := theNode(t, s, Query{}); n.Status != healthpb.Status_STOPPED || n.Missing || n.Node != "n" {
			t.Errorf("a day later the node is %+v", n)
		}
		time.Sleep(3 * time.Hour)
		wantLines(t, s, TransitionQuery{},
			"n/ UNKNOWN->RUNNING: first report",
			"n/ping UNKNOWN->OK: first report",
			"n/ RUNNING->STOPPED: reported",
			"n/ STOPPED->FORGOTTEN: forgotten: stopped for 25h0m0s",
		)
	})
}

// TestStoppedNodeIsRevived by a status, which gives its checks time to report, or
// by a check.
func TestStoppedNodeIsRevived(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Store) {
		mustPut(t, s, Accepted, status("n", isStopped, unix()), check("n", "ping", ok, unix()), check("n", "pong", ok, unix()))
		time.Sleep(5 * time.Minute)
		mustPut(t, s, Accepted, check("n", "pong", failing, unix()))
		if c := theCheck(t, s, Query{}); c.ID != "pong" || c.Stopped {
			t.Errorf("after an event of its own: %+v", c)
		}
		mustPut(t, s, Accepted, status("n", started, unix()))
		if p, err := s.Checks(Query{}); err != nil || p.Total != 2 || p.Items[0].Status != healthpb.HealthCheck_OK {
			t.Errorf("after STARTED: %+v, %v", p, err)
		}
		time.Sleep(16 * time.Second)
		wantLines(t, s, TransitionQuery{ID: "ping"},
			"n/ping UNKNOWN->OK: first report",
			"n/ping OK->UNKNOWN: no report for 15s (interval 10s)")
	})
}

// TestStoppedAfterSilence: the last word of a node that was slow to say it.
func TestStoppedAfterSilence(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Store) {
		mustPut(t, s, Accepted, check("n", "ping", ok, unix()))
		time.Sleep(16 * time.Second)
		mustPut(t, s, Accepted, status("n", isStopped, unix()))
		if c := theCheck(t, s, Query{Missing: true}); !c.Stopped {
			t.Errorf("the silent check is %+v", c)
		}
		time.Sleep(time.Hour)
		wantLines(t, s, TransitionQuery{ID: "ping"},
			"n/ping UNKNOWN->OK: first report",
			"n/ping OK->UNKNOWN: no report for 15s (interval 10s)")
	})
}
