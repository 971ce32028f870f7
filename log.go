package main

import (
	"io"
	"log/slog"

	"github.com/microhq/monitor-srv/handler"
)

// levelCritical is above every level that is logged here: it silences all.
const levelCritical = slog.Level(12)

// levels are the levels of the log by the names that goma gave them.
func levels() []handler.Level {
	return []handler.Level{
		{Name: "critical", Level: levelCritical},
		{Name: "error", Level: slog.LevelError},
		{Name: "warning", Level: slog.LevelWarn},
		{Name: "info", Level: slog.LevelInfo},
		{Name: "debug", Level: slog.LevelDebug},
	}
}

func levelNames() []string {
	var names []string
	for _, l := range levels() {
		names = append(names, l.Name)
	}
	return names
}

// newLog returns a log of the checked configuration, and its level, which may
// be changed while it is in use.
func newLog(cfg logConfig, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	lv := new(slog.LevelVar)
	for _, l := range levels() {
		if l.Name == cfg.verbosity {
			lv.Set(l.Level)
		}
	}
	opts := &slog.HandlerOptions{Level: lv}
	if cfg.format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), lv
	}
	return slog.New(slog.NewTextHandler(w, opts)), lv
}
