// Package loglimit bounds the log lines that others can cause: publishers, callers,
// targets and receivers.
package loglimit

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// DefaultEvery is the Every of a Limiter that sets none: a fault that repeats many
// times a second is logged, and does not fill the disk.
const DefaultEvery = 10 * time.Second

// maxKeys bounds the keys that are told apart. Beyond it all new ones share one
// allowance.
const maxKeys = 1024

// Limiter lets at most Burst lines of each key through in any period of Every. The
// zero value is ready to use. It is safe for concurrent use.
type Limiter struct {
	// Every is the period; DefaultEvery if zero.
	Every time.Duration
	// Burst is the number of lines in a period; 1 if zero.
	Burst int

	mu   sync.Mutex
	keys map[string]*allowance // guarded by mu
	full time.Time             // guarded by mu; when keys were last dropped for room
}

// allowance is what one key has used.
type allowance struct {
	lines      []time.Time // the last ones, at most Burst, as a ring
	oldest     int
	suppressed int
}

// newest returns when the last line passed.
func (a *allowance) newest() time.Time {
	return a.lines[(a.oldest+len(a.lines)-1)%len(a.lines)]
}

// Allow reports whether a line of the key may be written now, and how many were
// suppressed since the last one that was.
func (l *Limiter) Allow(key string) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	a := l.allowanceLocked(key, now)
	switch {
	case len(a.lines) < max(l.Burst, 1):
		a.lines = append(a.lines, now)
	case l.isOver(a.lines[a.oldest], now):
		a.lines[a.oldest] = now
		a.oldest = (a.oldest + 1) % len(a.lines)
	default:
		a.suppressed++
		return 0, false
	}
	suppressed, a.suppressed = a.suppressed, 0
	return suppressed, true
}

// Log writes msg unless its allowance is used up. attrs is called only if the line
// is written; the number of suppressed lines is added to what it returns.
func (l *Limiter) Log(log *slog.Logger, level slog.Level, msg string, attrs func() []any) {
	suppressed, ok := l.Allow(msg)
	if !ok {
		return
	}
	args := attrs()
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	log.Log(context.Background(), level, msg, args...)
}

// isOver reports whether the period of a line is over. That of a line in the future is:
// the clock was set back from a year after 2157, in which times have no monotonic reading.
func (l *Limiter) isOver(line, now time.Time) bool {
	elapsed := now.Sub(line)
	return elapsed < 0 || elapsed >= l.every()
}

func (l *Limiter) every() time.Duration {
	if l.Every <= 0 {
		return DefaultEvery
	}
	return l.Every
}

// allowanceLocked returns the allowance of a key, or the shared one if there is no
// room for another.
func (l *Limiter) allowanceLocked(key string, now time.Time) *allowance {
	if a := l.keys[key]; a != nil {
		return a
	}
	if len(l.keys) >= maxKeys && (now.Sub(l.full) >= time.Second || now.Before(l.full)) {
		l.full = now
		for k, a := range l.keys {
			if l.isOver(a.newest(), now) {
				delete(l.keys, k)
			}
		}
	}
	if len(l.keys) >= maxKeys {
		key = ""
	}
	if l.keys == nil {
		l.keys = make(map[string]*allowance)
	}
	if l.keys[key] == nil {
		l.keys[key] = &allowance{}
	}
	return l.keys[key]
}
