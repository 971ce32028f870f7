package monitor

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestWorkersAreReusedAndBounded runs more functions at once than idle workers are
// retained, and then one at a time. The bubble reports leaked goroutines.
func TestWorkersAreReusedAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3 * maxIdle
		w := newWorkers()
		var running, ran atomic.Int64
		work := func() {
			running.Add(1)
			time.Sleep(time.Second)
			running.Add(-1)
			ran.Add(1)
		}
		for range n {
			w.run(work)
		}
		synctest.Wait()
		if got := running.Load(); got != n {
			t.Errorf("%d running, want %d", got, n)
		}
		time.Sleep(2 * time.Second)
		for range 10 {
			w.run(work)
			synctest.Wait()
			if got := len(w.idle); got != maxIdle-1 {
				t.Errorf("%d idle while one runs, want %d", got, maxIdle-1)
			}
			time.Sleep(2 * time.Second)
			if got := len(w.idle); got != maxIdle {
				t.Errorf("%d idle, want %d", got, maxIdle)
			}
		}
		w.run(work)
		w.end()
		if got := ran.Load(); got != n+11 {
			t.Errorf("%d have run, want %d", got, n+11)
		}
	})
}
