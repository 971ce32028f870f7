package guard

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"go-micro.dev/v4/logger"

	"github.com/microhq/monitor-srv/loglimit"
)

// microLogger is a logger of go-micro that writes to slog.
type microLogger struct {
	to    *slog.Logger
	limit *loglimit.Limiter
	opts  logger.Options
}

// NewLogger returns a logger for go-micro that writes to to, or to slog.Default if
// to is nil. It keeps the levels; slog decides which are written. It writes the same
// line at most once in ten seconds, with the number of lines suppressed since. Lines
// that differ only in digits are the same. Users and passwords of URLs are redacted.
// A fatal line does not end the process. It leaves out that a broker is connected or
// disconnected: to go-micro's server a guarded broker always seems connected, and it
// logs by itself when it is.
func NewLogger(to *slog.Logger) logger.Logger {
	if to == nil {
		to = slog.Default()
	}
	return &microLogger{to: to, limit: &loglimit.Limiter{}}
}

// Init applies options. Only fields have an effect: slog has the level and the
// output.
func (l *microLogger) Init(opts ...logger.Option) error {
	for _, o := range opts {
		o(&l.opts)
	}
	return nil
}

// Options returns the fields and the lowest level that slog writes.
func (l *microLogger) Options() logger.Options {
	o := l.opts
	o.Level = logger.FatalLevel
	for level := logger.FatalLevel; level >= logger.TraceLevel; level-- {
		if l.to.Enabled(context.Background(), slogLevel(level)) {
			o.Level = level
		}
	}
	return o
}

// Fields returns a logger that adds fields to each line.
func (l *microLogger) Fields(fields map[string]any) logger.Logger {
	all := maps.Clone(l.opts.Fields)
	if all == nil {
		all = make(map[string]any, len(fields))
	}
	maps.Copy(all, fields)
	opts := l.opts
	opts.Fields = all
	return &microLogger{to: l.to, limit: l.limit, opts: opts}
}

// Log writes its values as one line.
func (l *microLogger) Log(level logger.Level, v ...any) {
	if at := slogLevel(level); l.to.Enabled(context.Background(), at) {
		l.write(at, fmt.Sprint(v...))
	}
}

// Logf writes a formatted line.
func (l *microLogger) Logf(level logger.Level, format string, v ...any) {
	if at := slogLevel(level); l.to.Enabled(context.Background(), at) {
		l.write(at, fmt.Sprintf(format, v...))
	}
}

// String returns "slog".
func (l *microLogger) String() string { return "slog" }

func (l *microLogger) write(level slog.Level, line string) {
	line = Redact(strings.TrimSpace(line))
	if level == slog.LevelInfo && strings.HasPrefix(line, "Broker [") {
		return
	}
	suppressed, ok := l.limit.Allow(level.String() + lineKey(line))
	if !ok {
		return
	}
	attrs := make([]slog.Attr, 0, len(l.opts.Fields)+1)
	for _, name := range slices.Sorted(maps.Keys(l.opts.Fields)) {
		attrs = append(attrs, fieldAttr(name, l.opts.Fields[name]))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	l.to.LogAttrs(context.Background(), level, line, attrs...)
}

func fieldAttr(name string, value any) slog.Attr {
	switch v := value.(type) {
	case string:
		return slog.String(name, Redact(v))
	case error:
		return slog.String(name, Redact(v.Error()))
	default:
		return slog.Any(name, value)
	}
}

// maxLineKey bounds the part of a line that is compared with others, in bytes.
const maxLineKey = 256

// lineKey returns the line with each run of digits replaced by one "#", so that a
// repeated line with another port, id or time is recognized.
func lineKey(line string) string {
	var key strings.Builder
	digits := false
	for _, r := range line {
		isDigit := r >= '0' && r <= '9'
		switch {
		case isDigit && digits:
			continue
		case isDigit:
			key.WriteByte('#')
		default:
			key.WriteRune(r)
		}
		digits = isDigit
		if key.Len() >= maxLineKey {
			break
		}
	}
	return key.String()
}

// slogLevel maps go-micro's levels to slog's. Trace is below debug, fatal above error.
func slogLevel(level logger.Level) slog.Level {
	switch {
	case level <= logger.TraceLevel:
		return slog.LevelDebug - 4
	case level == logger.DebugLevel:
		return slog.LevelDebug
	case level == logger.InfoLevel:
		return slog.LevelInfo
	case level == logger.WarnLevel:
		return slog.LevelWarn
	case level == logger.ErrorLevel:
		return slog.LevelError
	default:
		return slog.LevelError + 4
	}
}
