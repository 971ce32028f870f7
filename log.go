package main

import (
	"io"
	"log/slog"
)

// levelCritical is above every level that is logged here: it silences all.
const levelCritical = slog.Level(12)

// level is a level of the log by the name that goma gave it.
type level struct {
	name  string
	level slog.Level
}

func levels() []level {
	return []level{
		{"critical", levelCritical},
		{"error", slog.LevelError},
		{"warning", slog.LevelWarn},
		{"info", slog.LevelInfo},
		{"debug", slog.LevelDebug},
	}
}

func levelNames() []string {
	var names []string
	for _, l := range levels() {
		names = append(names, l.name)
	}
	return names
}

// newLog returns a log of the checked configuration, and its level, which may
// be changed while it is in use.
func newLog(cfg logConfig, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	lv := new(slog.LevelVar)
	for _, l := range levels() {
		if l.name == cfg.verbosity {
			lv.Set(l.level)
		}
	}
	opts := &slog.HandlerOptions{Level: lv}
	if cfg.format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), lv
	}
	return slog.New(slog.NewTextHandler(w, opts)), lv
}
