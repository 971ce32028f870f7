package transport

import (
	"log/slog"

	"github.com/microhq/monitor-srv/loglimit"
)

// limitedLog logs warnings that callers of the service cause: a flood of them would
// hide all other lines.
type limitedLog struct {
	log   *slog.Logger
	limit loglimit.Limiter
}

// warn logs msg unless it is suppressed. It calls attrs only if it logs.
func (l *limitedLog) warn(msg string, attrs func() []any) {
	l.limit.Log(l.log, slog.LevelWarn, msg, attrs)
}
