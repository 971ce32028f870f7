package guard

import (
	"log/slog"
	"sync"
	"time"
)

// rareLogGap is the least time between two lines of one kind. Callers decide
// how often those lines are due, and a flood of them would hide all others.
const rareLogGap = 10 * time.Second

// rareLog writes warnings of one kind, at most one in rareLogGap, and says how
// many it left out since the last.
type rareLog struct {
	log *slog.Logger

	mu    sync.Mutex
	quiet time.Time // guarded by mu; no line before this time
	left  int       // guarded by mu; lines left out since the last one
}

// warn writes msg unless it is too early. attrs is called only if it is written.
func (l *rareLog) warn(msg string, attrs func() []any) {
	left, ok := l.due()
	if !ok {
		return
	}
	args := attrs()
	if left > 0 {
		args = append(args, "left_out", left)
	}
	l.log.Warn(msg, args...)
}

func (l *rareLog) due() (left int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Before(l.quiet) {
		l.left++
		return 0, false
	}
	left, l.left = l.left, 0
	l.quiet = now.Add(rareLogGap)
	return left, true
}
