package delivery

import (
	"slices"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// entry is a pending notification.
type entry struct {
	action.Notification
	at     time.Time // when it was enqueued
	change uint64    // the change of the Persister; 0 if it need not be persisted first
}

// monitorQueue holds the pending notifications of one monitor, in order. The first
// inFlight entries are being sent. The first frozen entries were in a message that
// may have been delivered.
type monitorQueue struct {
	monitor       string
	entries       []entry
	inFlight      int
	frozen        int
	newlyFrozen   bool   // frozen by the attempt in flight, not by an earlier one
	notified      string // the incident whose failure was delivered and whose recovery was not
	forgotten     bool   // the monitor was removed: nothing is remembered once all is delivered
	queued        bool   // in queue.ready
	triedDraining bool   // an attempt failed while the Deliverer drained
}

// held counts the first entries of m that must not change.
func (m *monitorQueue) held() int { return max(m.inFlight, m.frozen) }

// hasIncident reports whether a notification other than Init is pending.
func (m *monitorQueue) hasIncident() bool {
	return slices.ContainsFunc(m.entries, func(e entry) bool { return e.Event != action.Init })
}

// coverage reports whether a failure of the incident was or will be delivered, and
// whether its recovery will be.
func (m *monitorQueue) coverage(incident string) (failure, recovery bool) {
	failure = m.notified == incident && incident != ""
	for _, e := range m.entries {
		if e.Incident == incident && e.Event != action.Init {
			failure = true
			recovery = recovery || e.Event == action.Recover
		}
	}
	return failure, recovery
}

// prune drops entries that newer ones supersede: an Init that is not the last
// entry, and a reminder whose failure was or will be delivered anyway. Held entries
// stay. It returns how many were dropped.
func (m *monitorQueue) prune(c *Counts) int {
	before := len(m.entries)
	held := m.held()
	retained := m.entries[:held]
	covered := m.notified // the incident whose failure is delivered, or retained
	for _, e := range retained {
		if e.Event == action.Fail || e.Event == action.Repeat {
			covered = e.Incident
		}
	}
	for i := held; i < len(m.entries); i++ {
		e, rest := m.entries[i], m.entries[i+1:]
		switch {
		case e.Event == action.Init && len(rest) > 0:
			continue
		case e.Event == action.Repeat && covered == e.Incident && (containsIncident(rest, e.Incident) || containsFailure(retained[held:], e.Incident)):
			continue
		case e.Event == action.Fail || e.Event == action.Repeat:
			covered = e.Incident
		}
		retained = append(retained, e)
	}
	clear(m.entries[len(retained):])
	m.entries = retained
	c.Superseded += uint64(before - len(retained))
	return before - len(retained)
}

// containsIncident reports whether an entry is about the incident.
func containsIncident(entries []entry, incident string) bool {
	return slices.ContainsFunc(entries, func(e entry) bool { return e.Incident == incident })
}

// containsFailure reports whether an entry is a failure of the incident, or a
// reminder of it.
func containsFailure(entries []entry, incident string) bool {
	return slices.ContainsFunc(entries, func(e entry) bool {
		return e.Incident == incident && (e.Event == action.Fail || e.Event == action.Repeat)
	})
}

// newestIncident returns the incident of the last entry that has one.
func (m *monitorQueue) newestIncident() string {
	for _, e := range slices.Backward(m.entries) {
		if e.Event != action.Init {
			return e.Incident
		}
	}
	return ""
}

// olderCount counts the entries of incidents other than the newest.
func (m *monitorQueue) olderCount() int {
	newest, n := m.newestIncident(), 0
	for _, e := range m.entries {
		if e.Event != action.Init && e.Incident != newest {
			n++
		}
	}
	return n
}

// holds reports whether a held entry is about the incident.
func (m *monitorQueue) holds(incident string) bool {
	return containsIncident(m.entries[:m.held()], incident)
}
