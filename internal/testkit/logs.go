package testkit

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
)

// QuietLog returns a logger that writes nothing.
func QuietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// InfoTo returns a logger that writes text of level info and above to w.
func InfoTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// LogTo returns a logger that writes text of all levels to w.
func LogTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// LogBuffer is a writer that a test may read while others write to it. The zero
// value is ready to use.
type LogBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (l *LogBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns everything written so far.
func (l *LogBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Logger returns a logger that writes lines of every level to the buffer.
func (l *LogBuffer) Logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
}
