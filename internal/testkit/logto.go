package testkit

import (
	"io"
	"log/slog"
)

// logTo returns a logger of text to w.
func LogTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
