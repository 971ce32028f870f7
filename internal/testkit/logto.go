package testkit

import (
	"io"
	"log/slog"
)

// LogTo returns a logger that writes text of all levels to w.
func LogTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
