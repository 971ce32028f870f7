package monitor

import (
	"context"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/probe"
)

func TestCounters(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.apply(t, "a.toml", monitorTOML("a", "interval = 1")+monitorTOML("b", "interval = 1"))
		b.setProbe(func(context.Context, string) (probe.Result, error) {
			time.Sleep(1500 * time.Millisecond)
			return probe.Result{}, errDown
		})
		time.Sleep(20*time.Second + 300*time.Millisecond)
		if err := b.Stop(2); err != nil {
			t.Fatal(err)
		}
		c := b.Counters()
		if c.Monitors != 2 || c.Running != 1 || c.Probes < 16 || c.Failures != c.Probes || c.Missed < 12 {
			t.Errorf("%+v", c)
		}
		b.apply(t, "a.toml", "")
		time.Sleep(5 * time.Second)
		if after := b.Counters(); after.Probes < c.Probes || after.Monitors != 0 || after.Probing != 0 {
			t.Errorf("afterwards %+v", after)
		}
	})
}

func TestLatenessOfTheLastMinute(t *testing.T) {
	l := lateness{since: time.Unix(0, 0)}
	at := l.since
	for i := range 1000 {
		l.add(at, time.Duration(i)*time.Millisecond)
	}
	p99, most := l.lastMinute(at)
	if p99 < 990*time.Millisecond || p99 > most || most != 999*time.Millisecond {
		t.Errorf("p99 %v, max %v", p99, most)
	}
	at = at.Add(45 * time.Second)
	l.add(at, time.Hour)
	if _, most := l.lastMinute(at); most != time.Hour {
		t.Errorf("max %v", most)
	}
	at = at.Add(25 * time.Second)
	if p99, most := l.lastMinute(at); p99 < 50*time.Second || most != time.Hour {
		t.Errorf("of one: %v, %v", p99, most)
	}
	if p99, most := l.lastMinute(at.Add(time.Minute)); p99 != 0 || most != 0 {
		t.Errorf("of none: %v, %v", p99, most)
	}
}
