package monitor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/probe"
)

// TestAProbeMadeWhileAnOlderOneRunsIsClosed stops and starts a monitor whose
// probe does not obey, and stops it again: both probes must be given back.
func TestAProbeMadeWhileAnOlderOneRunsIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		release := make(chan struct{})
		b.answer(func(context.Context, string) (probe.Result, error) {
			<-release
			return probe.Result{}, nil
		})
		if p := b.apply(t, "a.toml", text("m", "interval = 10")); len(p) > 0 {
			t.Fatal(p[0])
		}
		time.Sleep(11 * time.Second)
		id := b.List(Filter{})[0].ID
		for _, change := range []func(int64) error{b.Stop, b.Start, b.Stop} {
			if err := change(id); err != nil {
				t.Fatal(err)
			}
		}
		close(release)
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		if got := b.closed["m"]; got != 2 {
			t.Errorf("probes closed: got %d, want 2", got)
		}
	})
}
