package state

import (
	"sync"
	"time"
)

// Health reports whether something can be written.
type Health struct {
	// OK is set while changes are persisted in time.
	OK bool
	// Since is when OK last changed.
	Since time.Time
	// Reason is the last error while OK is not set.
	Reason string
}

// tracker tracks a Health. It may be used concurrently.
type tracker struct {
	mu     sync.Mutex
	health Health // guarded by mu
}

func newTracker() tracker { return tracker{health: Health{OK: true, Since: time.Now()}} }

// Health returns the result of the last write.
func (t *tracker) Health() Health {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.health
}

// report sets the result of a write.
func (t *tracker) report(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ok := err == nil; ok != t.health.OK {
		t.health = Health{OK: ok, Since: time.Now()}
	}
	if err != nil {
		t.health.Reason = err.Error()
	}
}
