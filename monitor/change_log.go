package monitor

import (
	"log/slog"
	"sync"
	"time"
)

// maxChangeLines bounds the failures and recoveries that are logged in a minute:
// when all monitors fail together, the log has to stay readable.
const maxChangeLines = 60

// changeLines counts the lines of the minute.
type changeLimit struct {
	mu                sync.Mutex
	minute            time.Time // guarded by mu; the minute
	lines, suppressed int       // guarded by mu
}

// allow reports whether a line may be written now, and how many were not since
// the last one.
func (l *changeLimit) allow(now time.Time) (held int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.minute.IsZero() || now.Sub(l.minute) >= time.Minute {
		l.minute, l.lines = now, 0
	}
	if l.lines >= maxChangeLines {
		l.suppressed++
		return 0, false
	}
	l.lines++
	held, l.suppressed = l.suppressed, 0
	return held, true
}

// logChange logs that a monitor began to fail or recovered; n may be nil. What is
// only told again is not logged.
func (g *Group) logChange(n *Change) {
	if n == nil || n.Event != Recover && (n.Event != Fail || !n.Time.Equal(n.Since)) {
		return
	}
	log := g.changeLogger(n.Time, n.Monitor, n.Incident)
	if log == nil {
		return
	}
	if n.Event == Recover {
		log.Info("a monitor recovered", "after", n.Duration.Round(time.Millisecond), "value", n.Value)
		return
	}
	log.Warn("a monitor fails", "failures", n.Failures, "err", n.Error)
}

// logGone logs that a monitor is no more whose failure was told: who was told of
// it hears no end.
func (g *Group) logRemoved(r *runner) {
	r.mu.Lock()
	failing, incident := r.judge.state == Failing, r.incident
	r.mu.Unlock()
	if !failing {
		return
	}
	if log := g.changeLogger(time.Now(), r.def.Name, incident); log != nil {
		log.Warn("a monitor is gone that was failing; nobody is told of an end")
	}
}

// changeLog returns what to log a change of a monitor with, or nil if there were
// too many lines.
func (g *Group) changeLogger(now time.Time, monitor, incident string) *slog.Logger {
	held, ok := g.count.changes.allow(now)
	if !ok {
		return nil
	}
	log := g.log.With("monitor", monitor, "incident", incident)
	if held > 0 {
		log = log.With("not_logged_before", held)
	}
	return log
}
