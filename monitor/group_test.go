package monitor

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/probe"
)

// Faults: G36.
func TestStopKeepsTheIncident(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(down)
		b.mustApply(t, monitorTOML("m", "interval = 5"))
		time.Sleep(11 * time.Second)
		if err := b.Stop(1); err != nil {
			t.Fatal(err)
		}
		if info := b.List(Filter{})[0]; info.State != Stopped || info.Running || !info.Failing {
			t.Errorf("stopped: %+v", info)
		}
		time.Sleep(time.Minute)
		if err := b.Start(1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		b.setProbe(up)
		time.Sleep(11 * time.Second)
		if got, want := b.events(), "m:init m:fail m:init m:recover"; got != want {
			t.Errorf("notified %s, want %s", got, want)
		}
	})
}

// Faults: T74.
func TestReloadKeepsUnchangedMonitors(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(down)
		b.apply(t, "a.toml", monitorTOML("same", "interval = 5")+monitorTOML("changes", "interval = 5")+monitorTOML("removed", "interval = 5"))
		time.Sleep(11 * time.Second)
		before := b.List(Filter{})
		b.apply(t, "a.toml", monitorTOML("changes", "interval = 7")+monitorTOML("same", "interval = 5")+monitorTOML("added", "interval = 5"))
		after := b.List(Filter{})
		if len(after) != 3 || after[0].Name != "same" || after[0].Probes != before[0].Probes || !after[0].NextProbe.Equal(before[0].NextProbe) {
			t.Errorf("after: %+v", after)
		}
		if after[1].Name != "changes" || after[1].ID != before[1].ID || after[1].Interval != 7*time.Second || !after[1].Failing {
			t.Errorf("changes: %+v", after[1])
		}
		if after[2].Name != "added" || after[2].ID != 4 {
			t.Errorf("added: %+v", after[2])
		}
		// The monitors of an invalid file keep running.
		if p := b.apply(t, "a.toml", "[[monitor]"); len(p) != 1 {
			t.Errorf("problems %v", p)
		}
		if got := len(b.List(Filter{})); got != 3 {
			t.Errorf("%d monitors after a bad file", got)
		}
		time.Sleep(11 * time.Second)
		b.setProbe(up)
		time.Sleep(20 * time.Second)
		if got := strings.Count(b.events(), "same:"); got != 3 {
			t.Errorf("%d notifications of same: %s", got, b.events())
		}
		if got := strings.Count(b.events(), "changes:fail"); got != 1 {
			t.Errorf("changes failed %d times: %s", got, b.events())
		}
	})
}

func TestExecCap(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		var mu sync.Mutex
		running, most := 0, 0
		b.setProbe(func(context.Context, string) (probe.Result, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(2 * time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return probe.Result{}, nil
		})
		b.mustApply(t, strings.ReplaceAll(manyMonitors(100, "interval = 60"), "[monitor.probe]\ntype = \"fake\"", "[monitor.probe]\ntype = \"exec\""))
		time.Sleep(30 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if most != 16 {
			t.Errorf("%d commands ran at once, want 16", most)
		}
		for _, i := range b.List(Filter{}) {
			if i.Probes != 1 {
				t.Fatalf("%s ran %d times", i.Name, i.Probes)
			}
		}
	})
}
