package main

import (
	"io"
	"log/slog"

	"github.com/microhq/monitor-srv/setting"
)

// newLog returns a log of the checked configuration, and its level, which may
// be changed while it is in use.
func newLog(cfg logConfig, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	lv := new(slog.LevelVar)
	if level, err := setting.ParseLevel(cfg.verbosity); err == nil {
		lv.Set(level)
	}
	opts := &slog.HandlerOptions{Level: lv}
	if cfg.format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), lv
	}
	return slog.New(slog.NewTextHandler(w, opts)), lv
}
