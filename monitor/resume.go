package monitor

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Incident is one that is open.
type Incident struct {
	Monitor string
	// ID is that of every Change of it.
	ID       string
	Since    time.Time
	Failures int
	Seq      int64
	// Absent is since when there is no such monitor, zero if there is one.
	Absent time.Time
}

// maxAbsent is how long an open incident waits for its monitor, whose file may
// be broken for the moment.
const maxAbsent = 24 * time.Hour

// Incidents returns the open incidents, ordered by monitor. While it runs no
// change is judged or handed to a receiver; meanwhile is called at that moment,
// so that what it collects belongs to the same state.
func (g *Group) Incidents(meanwhile func()) []Incident {
	g.verdictMu.Lock()
	defer g.verdictMu.Unlock()
	open, over := g.incidents(time.Now())
	for _, monitor := range over {
		g.cfg.Delivery.Forget(monitor)
	}
	meanwhile()
	return open
}

// incidents returns the open incidents, ordered by monitor. over are the monitors
// that were absent for too long.
func (g *Group) incidents(now time.Time) (open []Incident, over []string) {
	g.mu.Lock() // for both: an incident may go from one to the other
	there := slices.Collect(maps.Values(g.byID))
	for monitor, i := range g.absent {
		if now.Sub(i.Absent) > maxAbsent {
			delete(g.absent, monitor)
			over = append(over, monitor)
			continue
		}
		open = append(open, i)
	}
	g.mu.Unlock()
	for _, r := range there {
		r.mu.Lock()
		if r.judge.state == Failing {
			open = append(open, Incident{Monitor: r.def.Name, ID: r.incident, Since: r.failedAt, Failures: r.incidentFailures, Seq: r.seq})
		}
		r.mu.Unlock()
	}
	slices.SortFunc(open, func(a, b Incident) int { return cmp.Compare(a.Monitor, b.Monitor) })
	return open, over
}

// Resume goes on with what Incidents returned before a restart. It is to be
// called once, when the monitors of files and of the journal are there and the
// receivers have what was pending for them, and before Run.
//
// A monitor goes on with its open incident whatever else of it has changed: a
// receiver that was notified of the failure is not notified again and is notified
// of its end, under the same id; one that was not is notified. So is a receiver
// that the monitor no longer names, if a file still defines it. The incident of a
// monitor that is not there waits for it for a day.
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
		g.log.Warn("an open incident waits for its monitor, which is not there; after a day it is dropped", "monitor", i.Monitor, "incident", i.ID)
		i.Absent = cmp.Or(i.Absent, now)
		g.mu.Lock()
		g.absent[i.Monitor] = i
		g.mu.Unlock()
	}
	g.cfg.Delivery.Changed() // since when a monitor is absent, if nothing else
}

// adopt lets a monitor that appears go on with the incident that waits for it.
// g.mu is held.
func (g *Group) resumeAbsent(r *runner) {
	if i, ok := g.absent[r.def.Name]; ok {
		delete(g.absent, r.def.Name)
		r.resume(i, time.Now())
		r.addFormer(g.cfg.Delivery.Knowing(i.Monitor, i.ID))
		g.cfg.Delivery.Changed() // it is absent no more
	}
}

// resume opens an incident again. Receivers hear of the failure if they did not.
func (r *runner) resume(i Incident, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judge.state, r.judge.notifiedAt = Failing, now
	r.incident, r.incidentFailures, r.seq = i.ID, i.Failures, i.Seq
	r.failedAt = i.Since
	if i.Since.After(now) { // the clock was set back
		r.failedAt = now
	}
	r.since = r.failedAt
	r.renotify = true
}

// owe remembers receivers that were told of the open incident and are none of
// r's own any more.
func (r *runner) addFormer(told []Receiver) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range told {
		if !slices.Contains(r.receivers, t) {
			r.former = append(r.former, t)
		}
	}
}
