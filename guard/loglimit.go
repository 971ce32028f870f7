package guard

import (
	"sync"
	"time"
)

const (
	// LogInterval is the shortest time between two log lines of the same kind. A
	// fault that repeats many times a second is logged and does not fill the disk.
	LogInterval = 10 * time.Second
	// maxLogKeys bounds the number of kinds with an allowance of their own. All
	// further kinds share one.
	maxLogKeys = 1024
)

// LogLimit allows one log line per kind and LogInterval. The zero value is ready to
// use.
type LogLimit struct {
	mu     sync.Mutex
	kinds  map[string]*allowance // guarded by mu; by kind
	pruned time.Time             // guarded by mu; when prune was called last
}

// allowance is that of one kind of line.
type allowance struct {
	last       time.Time // when a line was allowed
	suppressed int       // number of lines refused since
}

// Allow reports whether a line of this kind may be logged now, and how many were
// suppressed since the last one.
func (l *LogLimit) Allow(kind string) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	a := l.find(kind, now)
	if !a.last.IsZero() && now.Sub(a.last) < LogInterval {
		a.suppressed++
		return 0, false
	}
	suppressed, a.suppressed, a.last = a.suppressed, 0, now
	return suppressed, true
}

// find returns the allowance of a kind, or the shared one if there are too many.
func (l *LogLimit) find(kind string, now time.Time) *allowance {
	if a := l.kinds[kind]; a != nil {
		return a
	}
	if len(l.kinds) >= maxLogKeys && now.Sub(l.pruned) >= time.Second {
		l.pruned = now
		l.prune(now)
	}
	if len(l.kinds) >= maxLogKeys {
		kind = ""
	}
	if a := l.kinds[kind]; a != nil {
		return a
	}
	if l.kinds == nil {
		l.kinds = make(map[string]*allowance)
	}
	a := &allowance{}
	l.kinds[kind] = a
	return a
}

// prune drops the kinds that may be logged again, with their counts.
func (l *LogLimit) prune(now time.Time) {
	for kind, a := range l.kinds {
		if now.Sub(a.last) >= LogInterval {
			delete(l.kinds, kind)
		}
	}
}
