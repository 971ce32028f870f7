package guard

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"go-micro.dev/v4/logger"
)

// microLogger hands go-micro's lines to slog.
type microLogger struct {
	to    *slog.Logger
	limit *LogLimit
	opts  logger.Options
}

// NewLogger returns a logger for go-micro that writes to to, or to slog.Default if
// it is nil. Levels keep their meaning; slog alone decides which are written. The
// same line is written at most once in ten seconds, with the count of those held
// back meanwhile; lines that differ only in digits are the same. The user and
// password of a URL are hidden. A fatal line is written and does not end the
// process.
func NewLogger(to *slog.Logger) logger.Logger {
	if to == nil {
		to = slog.Default()
	}
	return &microLogger{to: to, limit: &LogLimit{}}
}

// Init takes fields; the level and the output are slog's.
func (l *microLogger) Init(opts ...logger.Option) error {
	for _, o := range opts {
		o(&l.opts)
	}
	return nil
}

// Options answers the lowest level that slog writes, and the fields.
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

// String answers "slog".
func (l *microLogger) String() string { return "slog" }

func (l *microLogger) write(level slog.Level, line string) {
	line = Redact(strings.TrimSpace(line))
	held, ok := l.limit.Allow(level.String() + lineKey(line))
	if !ok {
		return
	}
	attrs := make([]slog.Attr, 0, len(l.opts.Fields)+1)
	for _, name := range slices.Sorted(maps.Keys(l.opts.Fields)) {
		attrs = append(attrs, fieldAttr(name, l.opts.Fields[name]))
	}
	if held > 0 {
		attrs = append(attrs, slog.Int("suppressed", held))
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

// maxLineKey is how much of a line decides whether it is the same. In bytes.
const maxLineKey = 256

// lineKey is the line with each run of digits as one mark, so that ports, ids and
// times do not make a repeated line look new.
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

// slogLevel maps go-micro's levels; trace is below debug and fatal above error.
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
