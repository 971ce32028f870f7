package transport

import (
	"log/slog"

	"github.com/microhq/monitor-srv/guard"
)

// limitedLog logs warnings, each message at most once in guard.LogInterval. Callers of
// the service cause these lines, and a flood of them would hide all others.
type limitedLog struct {
	log   *slog.Logger
	limit guard.LogLimit
}

// warn logs msg unless it is suppressed. It calls attrs only if it logs.
func (l *limitedLog) warn(msg string, attrs func() []any) {
	suppressed, ok := l.limit.Allow(msg)
	if !ok {
		return
	}
	args := attrs()
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	l.log.Warn(msg, args...)
}
