package access

import (
	"log/slog"
	"time"

	"github.com/microhq/monitor-srv/loglimit"
)

// maxLines bounds the lines of each kind that callers cause in a minute.
const maxLines = 50

// Log writes the lines about what callers change, and about wrong tokens. One Log serves
// all doors. A nil Log writes nothing.
type Log struct {
	log   *slog.Logger
	limit loglimit.Limiter
}

// NewLog returns a Log that writes to log.
func NewLog(log *slog.Logger) *Log {
	return &Log{log: log, limit: loglimit.Limiter{Every: time.Minute, Burst: maxLines}}
}

// Changed writes what a caller has changed, unless many such lines came before.
func (l *Log) Changed(level slog.Level, msg string, c Caller, attrs ...any) {
	l.write(level, msg, append(attrs, "role", c.Role, "client", c.Remote))
}

func (l *Log) wrongToken(remote string) {
	l.write(slog.LevelWarn, "wrong token", []any{"client", remote})
}

func (l *Log) write(level slog.Level, msg string, attrs []any) {
	if l != nil {
		l.limit.Log(l.log, level, msg, func() []any { return attrs })
	}
}
