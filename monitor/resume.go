package monitor

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// Incident is one that is open.
type Incident struct {
	Monitor string `json:"monitor"`
	// ID is carried by every notice of it.
	ID       string    `json:"id"`
	Since    time.Time `json:"since"`
	Failures int       `json:"failures"`
	Seq      int64     `json:"seq"`
	// Absent is since when there is no such monitor, zero if there is one.
	Absent time.Time `json:"absent,omitzero"`
}

// maxAbsent is how long an open incident waits for its monitor, whose file may
// be broken for the moment.
const maxAbsent = 24 * time.Hour

// Kept is what one run of the program owes to the next.
type Kept struct {
	Owed      []action.Backlog
	Incidents []Incident
}

// Kept returns the open incidents, and what receivers are owed, all of one
// moment: an incident and its notice are both in it, or neither.
func (g *Group) Kept() Kept {
	g.telling.Lock()
	incidents, over := g.incidents(time.Now())
	for _, monitor := range over {
		g.cfg.Deliverer.Forget(monitor)
	}
	k := Kept{Owed: g.cfg.Deliverer.Pending(), Incidents: incidents}
	g.telling.Unlock()
	return k
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
			open = append(open, Incident{Monitor: r.def.Name, ID: r.incident, Since: r.failedAt, Failures: r.failures, Seq: r.seq})
		}
		r.mu.Unlock()
	}
	slices.SortFunc(open, func(a, b Incident) int { return cmp.Compare(a.Monitor, b.Monitor) })
	return open, over
}

// Resume goes on with what Kept returned before a restart. It is to be called
// once, when the monitors of files and of the journal are there, and before Run.
//
// A monitor goes on with its open incident whatever else of it has changed: who
// was told of the failure is not told again and hears of its end, under the same
// id; who was not is told. A receiver that the monitor names no more hears of
// the end too, if a file still defines it. What concerns a monitor or a receiver
// that is not there waits for it for a day.
func (g *Group) Resume(k Kept) {
	now := time.Now()
	open := make(map[string]Incident, len(k.Incidents))
	for _, i := range k.Incidents {
		open[i.Monitor] = i
	}
	for _, b := range k.Owed {
		// What lost its incident, in a damaged file, would be remembered for ever.
		maps.DeleteFunc(b.Told, func(monitor, incident string) bool {
			return open[monitor].ID != incident && !concerns(b, incident)
		})
	}
	for _, b := range g.cfg.Deliverer.Restore(k.Owed) {
		if len(b.Notices) > 0 {
			g.log.Warn("notices wait for a receiver that is not there; after a day they are dropped", "receiver", b.Receiver, "notices", len(b.Notices))
		}
	}
	g.changes.Lock()
	defer g.changes.Unlock()
	for _, i := range k.Incidents {
		if r := g.named(i.Monitor); r != nil {
			r.resume(i, now)
			r.owe(g.cfg.Deliverer.Knowing(i.Monitor, i.ID))
			continue
		}
		g.log.Warn("an open incident waits for its monitor, which is not there; after a day it is dropped", "monitor", i.Monitor, "incident", i.ID)
		i.Absent = cmp.Or(i.Absent, now)
		g.mu.Lock()
		g.absent[i.Monitor] = i
		g.mu.Unlock()
	}
	g.cfg.Deliverer.Changed() // since when something is absent, if nothing else
}

// adopt lets a monitor that appears go on with the incident that waits for it.
// g.mu is held.
func (g *Group) adopt(r *runner) {
	if i, ok := g.absent[r.def.Name]; ok {
		delete(g.absent, r.def.Name)
		r.resume(i, time.Now())
		r.owe(g.cfg.Deliverer.Knowing(i.Monitor, i.ID))
		g.cfg.Deliverer.Changed() // it is absent no more
	}
}

// resume opens an incident again. Receivers hear of the failure if they did not.
func (r *runner) resume(i Incident, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judge.state, r.judge.told = Failing, now
	r.incident, r.failures, r.seq = i.ID, i.Failures, i.Seq
	r.failedAt = i.Since
	if i.Since.After(now) { // the clock was set back
		r.failedAt = now
	}
	r.since = r.failedAt
	r.retell = true
}

// owe remembers receivers that were told of the open incident and are none of
// r's own any more.
func (r *runner) owe(told []*action.Receiver) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range told {
		if !slices.Contains(r.last, t) {
			r.owed = append(r.owed, t)
		}
	}
}

// concerns tells whether a notice of the incident waits.
func concerns(b action.Backlog, incident string) bool {
	return slices.ContainsFunc(b.Notices, func(n action.Notice) bool { return n.Incident == incident })
}
