package monitor

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Incident is an open incident of a monitor.
type Incident struct {
	Monitor string
	// ID is that of every Change of the incident.
	ID       string
	Since    time.Time
	Failures int
	Seq      int64
	// Absent is the time since which the monitor is not defined; zero if it is.
	Absent time.Time
}

// absentIncident is an Incident without its monitor. It ends at until, of the clock of
// the Group.
type absentIncident struct {
	Incident
	until time.Time
}

// maxAbsent is how long an open incident is retained without its monitor, whose
// file may be broken for the moment.
const maxAbsent = 24 * time.Hour

// Incidents returns the open incidents, ordered by monitor. During the call no
// result is judged and no change is enqueued at a receiver. It calls meanwhile at
// that moment, so that what meanwhile collects is consistent with the incidents.
func (g *Group) Incidents(meanwhile func()) []Incident {
	g.verdictMu.Lock()
	defer g.verdictMu.Unlock()
	open, expired := g.incidents(g.clock.Now())
	for _, monitor := range expired {
		g.cfg.Delivery.Forget(monitor)
	}
	meanwhile()
	return open
}

// incidents returns the open incidents, ordered by monitor, and the monitors that
// were absent for too long.
func (g *Group) incidents(now time.Time) (open []Incident, expired []string) {
	g.mu.Lock() // for both maps: an incident may move from one to the other
	runners := slices.Collect(maps.Values(g.byID))
	for monitor, i := range g.absent {
		if now.After(i.until) {
			delete(g.absent, monitor)
			expired = append(expired, monitor)
			continue
		}
		open = append(open, i.Incident)
	}
	g.mu.Unlock()
	for _, r := range runners {
		r.mu.Lock()
		if r.judge.state == Failing {
			open = append(open, Incident{Monitor: r.def.Name, ID: r.incident, Since: r.failedAt, Failures: r.incidentFailures, Seq: r.seq})
		}
		r.mu.Unlock()
	}
	slices.SortFunc(open, func(a, b Incident) int { return cmp.Compare(a.Monitor, b.Monitor) })
	return open, expired
}

// Resume continues the incidents that Incidents returned before a restart. It is
// called once, before Run, after the monitors of files and of the journal were
// added and the receivers have their pending notifications.
//
// A monitor resumes its incident even if its definition has changed. Receivers that
// were notified of the failure are notified of the recovery only, under the same
// id. Receivers that were not are notified of the failure. A receiver that the
// monitor no longer uses is notified of the recovery if a file still defines it.
// The incident of an undefined monitor is retained for 24 hours.
func (g *Group) Resume(open []Incident) {
	now := time.Now()
	g.configMu.Lock()
	defer g.configMu.Unlock()
	for _, i := range open {
		if r := g.lookup(i.Monitor); r != nil {
			r.resume(i, now)
			r.addFormer(g.cfg.Delivery.Knowing(i.Monitor, i.ID))
			continue
		}
		g.log.Warn("the monitor of an open incident is not defined; the incident is dropped after 24 hours", "monitor", i.Monitor, "incident", i.ID)
		i.Absent = cmp.Or(i.Absent, now)
		g.mu.Lock()
		age := min(max(0, now.Sub(i.Absent)), maxAbsent)
		g.absent[i.Monitor] = absentIncident{i, g.clock.Now().Add(maxAbsent - age)}
		g.mu.Unlock()
	}
	g.cfg.Delivery.Changed() // Absent may be new
}

// resumeAbsent resumes the incident of a monitor that was absent. g.mu is held.
func (g *Group) resumeAbsent(r *runner) {
	if i, ok := g.absent[r.def.Name]; ok {
		delete(g.absent, r.def.Name)
		r.resume(i.Incident, time.Now())
		r.addFormer(g.cfg.Delivery.Knowing(i.Monitor, i.ID))
		g.cfg.Delivery.Changed() // Absent is zero again
	}
}

// resume opens an incident from before a restart. What a snapshot holds of the same
// incident goes on too.
func (r *runner) resume(i Incident, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judge.standing, r.judge.streak = standing{state: Failing, notifiedAt: r.group.clock.Now()}, 0
	r.incident, r.incidentFailures, r.seq = i.ID, i.Failures, i.Seq
	r.failedAt = notAfter(i.Since, now)
	r.failedSince = r.group.clock.Elapsed() - now.Sub(r.failedAt)
	r.since = r.failedAt
	r.renotify = true
	if k := r.recalled; k != nil && k.Incident == i.ID {
		r.recallIncident(k)
	}
}

// notAfter returns t, or now if t is later because the clock was set back.
func notAfter(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}

// addFormer adds those of the receivers that the monitor does not use any more.
func (r *runner) addFormer(notified []Receiver) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range notified {
		if !slices.Contains(r.receivers, t) {
			r.former = append(r.former, t)
		}
	}
}
