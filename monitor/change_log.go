package monitor

import (
	"log/slog"
	"time"
)

// maxChangeLines bounds the failures and recoveries that are logged in a minute.
// The log stays readable when all monitors fail together.
const maxChangeLines = 50

// logChange logs a failure or a recovery; c may be nil. Reminders and repeated
// notifications of a known failure are not logged.
func (g *Group) logChange(c *Change) {
	if c == nil || c.Event != Recover && (c.Event != Fail || !c.Time.Equal(c.Since)) {
		return
	}
	log := g.changeLogger(c.Monitor, c.Incident)
	if log == nil {
		return
	}
	if c.Event == Recover {
		log.Info("monitor recovered", "after", c.Duration.Round(time.Millisecond), "value", c.Value)
		return
	}
	log.Warn("monitor is failing", "failures", c.Failures, "err", c.Error)
}

// logRemoved logs the removal of a failing monitor, whose receivers are not
// notified of a recovery.
func (g *Group) logRemoved(r *runner) {
	r.mu.Lock()
	failing, incident := r.judge.state == Failing, r.incident
	r.mu.Unlock()
	if !failing {
		return
	}
	if log := g.changeLogger(r.def.Name, incident); log != nil {
		log.Warn("a failing monitor was removed; no recovery will be notified")
	}
}

// changeLogger returns a logger for a change of a monitor, or nil if too many lines
// were written.
func (g *Group) changeLogger(monitor, incident string) *slog.Logger {
	suppressed, ok := g.changeLog.Allow("")
	if !ok {
		return nil
	}
	log := g.log.With("monitor", monitor, "incident", incident)
	if suppressed > 0 {
		log = log.With("suppressed", suppressed)
	}
	return log
}
