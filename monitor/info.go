package monitor

import (
	"slices"
	"time"

	"github.com/microhq/monitor-srv/text"
)

// maxError bounds Info.Error, in bytes. Errors of probes are shorter.
const maxError = 1 << 10

// Info is a snapshot of one monitor.
type Info struct {
	// ID is at least 1 and never reused.
	ID   int64
	Name string
	// Running is false while the monitor is stopped. Failing is true while an
	// incident is open, even if the monitor is stopped.
	Running, Failing bool
	State            State
	// Value is the last filtered value. Error is the error of the last probe, or the
	// threshold that its value violates. Detail is what the probe observed.
	Value         float64
	Error, Detail string
	// Since is the time of the last change of State. LastProbe and NextProbe are
	// zero if there is none.
	Since, LastProbe, NextProbe time.Time
	Interval, Timeout           time.Duration
	Thresholds                  Thresholds
	// Probe and Filter are kinds. Actions are kinds and names of receivers.
	Probe, Filter string
	Actions       []string
	// Origin is "file:NAME.toml" or "api".
	Origin string
	// StoppedAt is when somebody stopped the monitor, which lasts until it is started;
	// zero if it is to run.
	StoppedAt time.Time
	// Probes counts all probes, Failures the failed ones. Missed counts those that
	// were skipped because one took longer than its interval or the process was
	// overloaded.
	Probes, Failures, Missed int64
	// Took is the duration of the last probe, Late its delay after it was due.
	Took, Late time.Duration
	Labels     map[string]string
}

// Filter selects monitors that match all its fields which are not zero.
type Filter struct {
	ID    int64
	Name  string
	State *State
}

// List returns the monitors that match, ordered by id.
func (g *Group) List(f Filter) []Info {
	var list []Info
	for _, r := range g.sorted() {
		if f.ID != 0 && f.ID != r.id || f.Name != "" && f.Name != r.def.Name {
			continue
		}
		info := r.info()
		if f.State == nil || *f.State == info.State {
			list = append(list, info)
		}
	}
	return list
}

// Get returns one monitor, or ErrNotFound.
func (g *Group) Get(id int64) (Info, error) {
	r, err := g.find(id)
	if err != nil {
		return Info{}, err
	}
	return r.info(), nil
}

func (r *runner) info() Info {
	d := r.def
	i := Info{
		ID: r.id, Name: d.Name, Interval: d.Interval, Timeout: d.Timeout,
		Thresholds: d.Thresholds, Probe: d.probe.Kind, Origin: r.place().origin, Labels: d.Labels,
		NextProbe: r.group.clock.Wall(r.group.scheduler.dueOf(r.job)),
	}
	if d.filter != nil {
		i.Filter = d.filter.Kind
	}
	for _, s := range d.actions {
		i.Actions = append(i.Actions, s.Kind+s.Receiver)
	}
	i.Actions = slices.Clip(i.Actions)
	r.mu.Lock()
	defer r.mu.Unlock()
	i.Running, i.Failing, i.State = r.pipeline != nil, r.judge.state == Failing, r.judge.state
	if !i.Running {
		i.State = Stopped
	}
	i.StoppedAt = r.stoppedAt
	i.Value, i.Since, i.LastProbe, i.Detail = r.value, r.since, r.lastProbe, r.detail
	i.Probes, i.Failures, i.Missed = r.probes, r.failedProbes, r.missed
	if r.last != nil {
		i.Took, i.Late = r.last.took, r.last.late
	}
	switch {
	case r.lastErr != nil:
		i.Error = text.Line(r.lastErr.Error(), maxError)
	case !r.lastProbe.IsZero():
		i.Error = r.def.Thresholds.violation(r.value)
	}
	return i
}
