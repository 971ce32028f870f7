package ingest

import (
	"sync"
	"time"
)

// logEvery is how often a line about the same reason may be written.
const logEvery = 10 * time.Second

// limiter lets one line in ten seconds through for each key. Its keys are a
// closed set, so it does not grow.
type limiter struct {
	mu    sync.Mutex
	lines map[string]*line // guarded by mu
}

type line struct {
	last  time.Time
	count uint64
}

// allow reports whether a line may be written now, and how many there would have
// been since the last one, this one included.
func (l *limiter) allow(key string) (times uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines == nil {
		l.lines = make(map[string]*line)
	}
	n := l.lines[key]
	if n == nil {
		n = new(line)
		l.lines[key] = n
	}
	n.count++
	now := time.Now()
	if !n.last.IsZero() && now.Sub(n.last) < logEvery {
		return 0, false
	}
	times, n.count, n.last = n.count, 0, now
	return times, true
}
