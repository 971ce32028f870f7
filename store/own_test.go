package store

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

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
		mustPut(t, s, Refused, ofMonitor("monitor.last", time.Minute))
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
