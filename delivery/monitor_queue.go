package delivery

import (
	"slices"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// entry is a notice that waits.
type entry struct {
	action.Notification
	at     time.Time // when it came
	change uint64    // of the Keeper; zero if it need not be written down first
}

// thread is what one monitor has to tell, in order. Only its first inFlight
// entries are being told at the moment. Its first frozen entries were in a
// message that may have been taken.
type monitorQueue struct {
	monitor       string
	entries       []entry
	inFlight      int
	frozen        int
	newlyFrozen   bool   // frozen by the attempt under way, by none before
	notified      string // the incident whose failure was told and whose end was not
	forgotten     bool   // the monitor is no more: once all is told, nothing is remembered
	queued        bool   // in the queue of threads that are ready
	triedDraining bool   // an attempt failed while stopping
}

// held counts the first entries of t that must stay as they are.
func (t *monitorQueue) held() int { return max(t.inFlight, t.frozen) }

// urgent reports whether t has more to tell than a start.
func (t *monitorQueue) hasIncident() bool {
	return slices.ContainsFunc(t.entries, func(e entry) bool { return e.Event != action.Init })
}

// knows reports whether a failure of the incident was or will be told, and
// whether its end will be.
func (t *monitorQueue) coverage(incident string) (failing, over bool) {
	failing = t.notified == incident && incident != ""
	for _, e := range t.entries {
		if e.Incident == incident && e.Event != action.Init {
			failing = true
			over = over || e.Event == action.Recover
		}
	}
	return failing, over
}

// prune drops what newer entries of t make pointless: a start that something
// follows, and a reminder of a failure that was or will be told anyway. What is
// held stays. It returns how many were dropped.
func (t *monitorQueue) prune(c *Counts) int {
	before := len(t.entries)
	held := t.held()
	kept := t.entries[:held]
	known := t.notified // the incident whose failure is told, or will be by kept
	for _, e := range kept {
		if e.Event == action.Fail || e.Event == action.Repeat {
			known = e.Incident
		}
	}
	for i := held; i < len(t.entries); i++ {
		e, rest := t.entries[i], t.entries[i+1:]
		switch {
		case e.Event == action.Init && len(rest) > 0:
			continue
		case e.Event == action.Repeat && known == e.Incident && (containsIncident(rest, e.Incident) || containsFailure(kept[held:], e.Incident)):
			continue
		case e.Event == action.Fail || e.Event == action.Repeat:
			known = e.Incident
		}
		kept = append(kept, e)
	}
	clear(t.entries[len(kept):])
	t.entries = kept
	c.Superseded += uint64(before - len(kept))
	return before - len(kept)
}

// follows reports whether a newer word on the incident is in rest.
func containsIncident(rest []entry, incident string) bool {
	return slices.ContainsFunc(rest, func(e entry) bool { return e.Incident == incident })
}

// waits reports whether a failure of the incident has still to be told.
func containsFailure(es []entry, incident string) bool {
	return slices.ContainsFunc(es, func(e entry) bool {
		return e.Incident == incident && (e.Event == action.Fail || e.Event == action.Repeat)
	})
}

// newest returns the incident of the last entry that has one.
func (t *monitorQueue) newestIncident() string {
	for _, e := range slices.Backward(t.entries) {
		if e.Event != action.Init {
			return e.Incident
		}
	}
	return ""
}

// older counts the entries of incidents other than the newest.
func (t *monitorQueue) olderCount() int {
	newest, n := t.newestIncident(), 0
	for _, e := range t.entries {
		if e.Event != action.Init && e.Incident != newest {
			n++
		}
	}
	return n
}

// holds reports whether something of the incident is held.
func (t *monitorQueue) holds(incident string) bool {
	return containsIncident(t.entries[:t.held()], incident)
}
