package store

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// TestNothingIsListedAfterACleanStop: after STOPPED nothing is listed, UNKNOWN or missing.
// Faults: M3.
func TestNothingIsListedAfterACleanStop(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Store) {
		mustPut(t, s, Accepted, status("n", running, unix()), check("n", "ping", ok, unix()), stats("n", unix()))
		time.Sleep(10 * time.Second)
		mustPut(t, s, Accepted, status("n", isStopped, unix()))
		if p, err := s.Checks(Query{}); err != nil || p.Total != 0 {
			t.Errorf("the check of a stopped node is listed: %+v, %v", p, err)
		}
		if p, err := s.Stats(Query{}); err != nil || p.Total != 0 {
			t.Errorf("the stats of a stopped node are listed: %+v, %v", p, err)
		}
		if p, err := s.Stats(Query{Missing: true}); err != nil || p.Total != 1 || !p.Items[0].Stopped {
			t.Errorf("on request they are %+v, %v", p, err)
		}
		time.Sleep(6 * time.Second)
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
		if p, err := s.Checks(Query{}); err != nil || p.Total != 0 {
			t.Errorf("checks that arrive after STOPPED are listed: %+v, %v", p, err)
		}
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

func TestForgetDropsWhatIsLiveAndWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		ev := &Event{
			Kind: KindCheck, Service: []byte("s"), Version: []byte("1"), Node: []byte("n"), ID: []byte("c"),
			Status: int32(healthpb.HealthCheck_OK), Interval: 1, TTL: 10,
		}
		for _, silent := range []time.Duration{0, 5 * time.Second, time.Minute} {
			if got := s.Put(ev); got != Accepted {
				t.Fatalf("after %v: %v", silent, got)
			}
			time.Sleep(silent)
			if !s.Forget(ev) || s.Forget(ev) {
				t.Errorf("silent for %v: it is not forgotten exactly once", silent)
			}
			if _, err := s.Checks(Query{Service: "s"}); !errors.Is(err, ErrNotFound) {
				t.Errorf("silent for %v: the service is still known: %v", silent, err)
			}
			ts, _, _, err := s.History(TransitionQuery{}, 0)
			if err != nil || ts[0].To != "FORGOTTEN" || ts[0].Why != "withdrawn" {
				t.Errorf("silent for %v: newest transition %+v, %v", silent, ts[0], err)
			}
			time.Sleep(48 * time.Hour)
			if c := s.Counters(); c.Checks != 0 || c.Nodes != 0 || c.Services != 0 {
				t.Errorf("silent for %v: something stays: %+v", silent, c)
			}
		}
	})
}

// ofMonitor is the result of a monitor of the node "own".
func ofMonitor(id string, interval time.Duration) *Event {
	ev := check("own", id, int32(healthpb.HealthCheck_OK), unix())
	ev.Source = healthpb.HealthCheck_MONITOR
	ev.Interval = int64(interval / time.Second)
	ev.TTL = 10 * ev.Interval
	return ev
}

// However many monitors there are, each has its check, and the node has room for
// its own checks besides; a flood under other nodes is bounded as ever.
func TestEveryMonitorHasACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Own: "own", MaxChecksPerNode: 3, MaxEntries: 100})
		for n := range 80 {
			mustPut(t, s, Accepted, ofMonitor(fmt.Sprintf("monitor.%d", n), time.Minute))
		}
		for n := range 3 {
			mustPut(t, s, Accepted, check("other", fmt.Sprint(n), 1, unix()).of("other", "1"))
		}
		mustPut(t, s, Refused, check("other", "more", 1, unix()).of("other", "1"))
		for n := range 17 {
			mustPut(t, s, Accepted, ofMonitor(fmt.Sprintf("monitor.1%d", 100+n), time.Minute))
		}
		mustPut(t, s, Accepted, ofMonitor("monitor.instead of others", time.Minute))
		if _, err := s.Checks(Query{Service: "other"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("a node that nobody vouches for has not made room: %v", err)
		}
		verify(t, s)
	})
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Own: "own", MaxChecksPerNode: 3})
		for n := range 10 {
			mustPut(t, s, Accepted, ofMonitor(fmt.Sprintf("monitor.%d", n), time.Minute))
		}
		mustPut(t, s, Accepted, check("own", "queue", 1, unix()))
		verify(t, s)
	})
}

// A monitor that probes but once a day is not silent between two probes.
func TestSlowMonitorIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		for _, interval := range []time.Duration{2 * time.Hour, 24 * time.Hour} {
			ev := ofMonitor(interval.String(), interval)
			mustPut(t, s, Accepted, ev)
			time.Sleep(interval + time.Minute)
			if c := theCheck(t, s, Query{ID: interval.String()}); c.Status != healthpb.HealthCheck_OK || c.Missing {
				t.Errorf("after %v: %+v", interval, c)
			}
			time.Sleep(interval)
			if c := theCheck(t, s, Query{ID: interval.String(), Missing: true}); c.Status != healthpb.HealthCheck_UNKNOWN {
				t.Errorf("after twice %v: %+v", interval, c)
			}
		}
		verify(t, s)
	})
}
