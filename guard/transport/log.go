package transport

import (
	"log/slog"

	"github.com/microhq/monitor-srv/guard"
)

// rareLog writes warnings, each message at most once in logEvery. Callers decide
// how often these lines are due, and a flood of them would hide all others.
type rareLog struct {
	log   *slog.Logger
	limit guard.LogLimit
}

// warn writes msg unless it is too early. attrs is called only if it is written.
func (l *rareLog) warn(msg string, attrs func() []any) {
	held, ok := l.limit.Allow(msg)
	if !ok {
		return
	}
	args := attrs()
	if held > 0 {
		args = append(args, "suppressed", held)
	}
	l.log.Warn(msg, args...)
}
