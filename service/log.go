package service

import (
	"io"
	"log/slog"

	"github.com/microhq/monitor-srv/setting"
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
