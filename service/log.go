package service

import (
	"io"
	standardlog "log"
	"log/slog"

	"go-micro.dev/v4/logger"

	"github.com/microhq/monitor-srv/guard"
	"github.com/microhq/monitor-srv/loglimit"
	"github.com/microhq/monitor-srv/setting"
	"github.com/microhq/monitor-srv/text"
)

// NewLog returns a log of the checked configuration, and its level, which may be
// changed while it is in use.
func NewLog(cfg LogConfig, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	if lowest, err := setting.ParseLevel(cfg.Verbosity); err == nil {
		level.Set(lowest)
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), level
	}
	return slog.New(slog.NewTextHandler(w, opts)), level
}

// QuietLibraries sends to log what libraries can only write to a global logger:
// go-micro's registries and caches to its own, net/http to that of the standard library.
func QuietLibraries(log *slog.Logger) {
	logger.DefaultLogger = guard.NewLogger(log)
	standardlog.SetFlags(0)
	standardlog.SetOutput(&standardLog{log: log})
}

// maxLibraryText bounds what is logged of a line of a library, in bytes.
const maxLibraryText = 256

// standardLog writes lines of the standard logger to log. Targets of probes can cause
// them, as many as they like, and choose their text.
type standardLog struct {
	log   *slog.Logger
	limit loglimit.Limiter
}

// Write implements io.Writer. Each call is a line.
func (s *standardLog) Write(line []byte) (int, error) {
	s.limit.Log(s.log, slog.LevelWarn, "message of a library", func() []any {
		return []any{"text", text.Line(string(line), maxLibraryText)}
	})
	return len(line), nil
}
