package guard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/logger"

	"github.com/microhq/monitor-srv/guard"
	"github.com/microhq/monitor-srv/internal/testkit"
)

func TestLoggerMapsLevelsAndFields(t *testing.T) {
	for _, c := range []struct {
		level logger.Level
		want  string
	}{
		{logger.TraceLevel, "level=DEBUG-4"},
		{logger.DebugLevel, "level=DEBUG"},
		{logger.InfoLevel, "level=INFO"},
		{logger.WarnLevel, "level=WARN"},
		{logger.ErrorLevel, "level=ERROR"},
		{logger.FatalLevel, "level=ERROR+4"},
	} {
		log := &testkit.LogBuffer{}
		l := guard.NewLogger(log.Logger()).Fields(map[string]any{"b": 2, "a": errors.New("x")}).Fields(map[string]any{"c": "y"})
		l.Logf(c.level, "port %d", 1)
		l.Log(c.level, "two ", "words")
		text := log.String()
		for _, want := range []string{c.want + ` msg="port 1" a=x b=2 c=y`, c.want + ` msg="two words" a=x b=2 c=y`} {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("%v: no %q in:\n%s", c.level, want, text)
			}
		}
	}
}

func TestLoggerAnswersTheLevelOfSlog(t *testing.T) {
	for level, want := range map[slog.Level]logger.Level{
		slog.LevelDebug - 4: logger.TraceLevel,
		slog.LevelDebug:     logger.DebugLevel,
		slog.LevelInfo:      logger.InfoLevel,
		slog.LevelWarn:      logger.WarnLevel,
		slog.LevelError:     logger.ErrorLevel,
		slog.LevelError + 8: logger.FatalLevel,
	} {
		log := &testkit.LogBuffer{}
		l := guard.NewLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level})))
		if got := l.Options().Level; got != want {
			t.Errorf("slog %v: got %v, want %v", level, got, want)
		}
		if want == logger.TraceLevel {
			continue // nothing is below
		}
		l.Log(want-1, "below")
		if text := log.String(); text != "" {
			t.Errorf("slog %v: written below the level: %s", level, text)
		}
	}
	l := guard.NewLogger(nil)
	if err := l.Init(logger.WithFields(map[string]any{"k": "v"})); err != nil || l.Options().Fields["k"] != "v" || l.String() != "slog" {
		t.Errorf("Init: %v, options %+v", err, l.Options())
	}
}

func TestLoggerHidesSecretsOfURLs(t *testing.T) {
	for text, want := range map[string]string{
		"to nats://user:hunter2@host:4222, https://t0k@h/x": "to nats://<secret>@host:4222, https://<secret>@h/x",
		"https://host/path":                       "https://host/path",
		"mail to me@example.org":                  "mail to me@example.org",
		`get 'http://u:p/w@h': refused`:           `get 'http://<secret>@h': refused`,
		"redis+tls://:pw@h:1 and http://b":        "redis+tls://<secret>@h:1 and http://b",
		"postgres://a:b@h/db,postgres://c:d@h/db": "postgres://<secret>@h/db", // more than needed, never less
	} {
		log := &testkit.LogBuffer{}
		l := guard.NewLogger(log.Logger())
		l.Logf(logger.InfoLevel, "%s", text)
		l.Fields(map[string]any{"f": text, "e": errors.New(text)}).Log(logger.InfoLevel, "fields")
		quoted := fmt.Sprintf("%q", want)
		if !strings.ContainsAny(want, " ") {
			quoted = want
		}
		if got := log.String(); strings.Count(got, quoted) != 3 {
			t.Errorf("%q: want %s three times in\n%s", text, quoted, got)
		}
	}
}

// Faults: I9.
func TestLoggerHoldsBackRepeatedLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &testkit.LogBuffer{}
		l := guard.NewLogger(log.Logger())
		for i := range 1000 {
			l.Logf(logger.ErrorLevel, "dial 127.0.0.1:%d: refused", 1000+i)
			l.Log(logger.ErrorLevel, "same")
			l.Log(logger.InfoLevel, "same")
		}
		l.Logf(logger.InfoLevel, "subscribing to %s", "a")
		l.Logf(logger.InfoLevel, "subscribing to %s", "b") // another line, though of one format
		if n := strings.Count(log.String(), "\n"); n != 5 {
			t.Errorf("%d lines, want 5:\n%s", n, log.String())
		}
		time.Sleep(10 * time.Second)
		l.Log(logger.ErrorLevel, "same")
		if !strings.Contains(log.String(), "level=ERROR msg=same suppressed=999\n") {
			t.Errorf("no count of those held back:\n%s", log.String())
		}
		time.Sleep(10 * time.Second)
		l.Log(logger.ErrorLevel, "same")
		if !strings.HasSuffix(log.String(), "level=ERROR msg=same\n") {
			t.Errorf("the count was not reset:\n%s", log.String())
		}
	})
}

// Endless different lines are held back too once there are too many, and the
// memory of them ends.
// Faults: I9.
func TestLoggerBoundsDifferentLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := 0
		l := guard.NewLogger(slog.New(countingHandler{&lines}))
		word := func(i int) string {
			return strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(i))
		}
		for i := range 5000 {
			l.Log(logger.WarnLevel, word(i))
		}
		if lines != 1025 { // and one for all others
			t.Errorf("%d lines, want 1025", lines)
		}
		time.Sleep(11 * time.Second)
		for i := range 1000 {
			l.Log(logger.WarnLevel, word(10000+i))
		}
		if lines != 2025 {
			t.Errorf("%d lines after ten seconds, want 2025", lines)
		}
	})
}

type countingHandler struct{ n *int }

func (h countingHandler) Enabled(context.Context, slog.Level) bool  { return true }
func (h countingHandler) Handle(context.Context, slog.Record) error { *h.n++; return nil }
func (h countingHandler) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h countingHandler) WithGroup(string) slog.Handler             { return h }
