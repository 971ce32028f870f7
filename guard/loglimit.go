package guard

import (
	"sync"
	"time"
)

const (
	// logEvery is how often the same line may be logged: a fault that repeats
	// many times a second is told, and does not fill the disk.
	LogInterval = 10 * time.Second
	// maxLogKeys bounds the lines that are told apart. Past it all new ones share
	// one allowance.
	maxLogKeys = 1024
)

// logLimit lets a line through once in logEvery. The zero value is usable.
type LogLimit struct {
	mu   sync.Mutex
	keys map[string]*logKey // guarded by mu
	full time.Time          // guarded by mu; when there was last no room
}

type logKey struct {
	last       time.Time
	suppressed int
}

// allow tells whether a line known by key may be logged now, and how many like it
// were held back since the last.
func (l *LogLimit) Allow(key string) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	k := l.keys[key]
	if k == nil {
		if len(l.keys) >= maxLogKeys && now.Sub(l.full) >= time.Second {
			l.full = now
			l.forget(now)
		}
		if len(l.keys) >= maxLogKeys {
			key = ""
		}
		if k = l.keys[key]; k == nil {
			if l.keys == nil {
				l.keys = make(map[string]*logKey)
			}
			k = &logKey{}
			l.keys[key] = k
		}
	}
	if !k.last.IsZero() && now.Sub(k.last) < LogInterval {
		k.suppressed++
		return 0, false
	}
	suppressed, k.suppressed, k.last = k.suppressed, 0, now
	return suppressed, true
}

// forget drops the keys whose allowance is fresh again, with the counts they owe.
func (l *LogLimit) forget(now time.Time) {
	for key, k := range l.keys {
		if now.Sub(k.last) >= LogInterval {
			delete(l.keys, key)
		}
	}
}
