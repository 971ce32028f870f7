package monitor

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/probe"
)

// stuckProbe cannot be closed until hold is closed.
type stuckProbe struct{ hold chan struct{} }

func (p stuckProbe) Probe(context.Context) (probe.Result, error) { return probe.Result{}, nil }

func (p stuckProbe) Close() error {
	<-p.hold
	return nil
}

// TestProbeThatCannotBeClosedBlocksNoChange takes monitors away whose
// probes hang in Close: the changes, and all others, go on meanwhile, and the
// Group ends when they have.
// Faults: T53.
func TestProbeThatCannotBeClosedBlocksNoChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		g := NewGroup(Config{
			Probes: map[string]probe.Kind{"fake": func(func(any) error, probe.Env) (probe.Probe, error) {
				return stuckProbe{hold}, nil
			}},
			Delivery: newDeliveries(nil), Recorder: nobody{},
			Log: slog.New(slog.DiscardHandler), MaxPerSecond: 1000,
		})
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() { _ = g.Run(ctx) })
		begin := time.Now()
		const probed = "\n[monitor.probe]\ntype = \"fake\"\n"
		applyText(t, g, "[[monitor]]\nname = \"a\""+probed+"[[monitor]]\nname = \"b\""+probed)
		applyText(t, g, "[[monitor]]\nname = \"b\"\ninterval = 5"+probed) // a goes, b is replaced
		d, err := ParseOne("name = \"c\"\nprobe = { type = \"fake\" }")
		if err != nil {
			t.Fatal(err)
		}
		id, err := g.Register(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range []func(int64) error{g.Stop, g.Start, g.Unregister} {
			if err := change(id); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took > 0 {
			t.Errorf("the changes took %v", took)
		}
		cancel()
		done := make(chan struct{})
		go func() { ended.Wait(); close(done) }()
		synctest.Wait()
		select {
		case <-done:
			t.Error("the group ended before its probes were closed")
		default:
		}
		close(hold)
		<-done
	})
}
