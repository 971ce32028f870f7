package setting

import (
	"log/slog"
	"strings"
	"testing"
)

func TestLevelsHaveTheNamesOfGoma(t *testing.T) {
	for name, want := range map[string]slog.Level{
		"critical": LevelCritical, "crit": LevelCritical, "error": slog.LevelError,
		"warning": slog.LevelWarn, "warn": slog.LevelWarn, "info": slog.LevelInfo,
		"information": slog.LevelInfo, "debug": slog.LevelDebug,
	} {
		got, err := ParseLevel(name)
		if err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", name, got, err, want)
		}
	}
	for _, name := range LevelNames() {
		l, err := ParseLevel(name)
		if err != nil || LevelName(l) != name {
			t.Errorf("%q reads %v (%v), which is told as %q", name, l, err, LevelName(l))
		}
	}
	for l, want := range map[slog.Level]string{100: "critical", 10: "error", 1: "info", -9: "debug"} {
		if got := LevelName(l); got != want {
			t.Errorf("level %d: got %q, want %q", l, got, want)
		}
	}
	for _, name := range []string{"", "INFO", "loud", " info"} {
		if _, err := ParseLevel(name); err == nil || !strings.Contains(err.Error(), "give one of critical, error, warning, info, debug") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}
