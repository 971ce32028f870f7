package setting

import (
	"fmt"
	"log/slog"
	"strings"
)

// LevelCritical is above the level of every message: it disables the log.
const LevelCritical = slog.Level(12)

// levelName is a log level with its names in goma. The first one is canonical.
type levelName struct {
	level slog.Level
	names []string
}

func levelNames() []levelName {
	return []levelName{
		{LevelCritical, []string{"critical", "crit"}},
		{slog.LevelError, []string{"error"}},
		{slog.LevelWarn, []string{"warning", "warn"}},
		{slog.LevelInfo, []string{"info", "information"}},
		{slog.LevelDebug, []string{"debug"}},
	}
}

// LevelNames returns the names of the log levels, the least verbose first.
func LevelNames() []string {
	var names []string
	for _, l := range levelNames() {
		names = append(names, l.names[0])
	}
	return names
}

// ParseLevel returns the log level with a name, or an error that lists the names.
func ParseLevel(name string) (slog.Level, error) {
	for _, l := range levelNames() {
		for _, n := range l.names {
			if n == name {
				return l.level, nil
			}
		}
	}
	return 0, fmt.Errorf("the level %.40q is not known: give one of %s", name, strings.Join(LevelNames(), ", "))
}

// LevelName returns the name of the highest named level that is at most l.
func LevelName(l slog.Level) string {
	all := levelNames()
	for _, n := range all {
		if l >= n.level {
			return n.names[0]
		}
	}
	return all[len(all)-1].names[0]
}
