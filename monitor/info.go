package monitor

import (
	"slices"
	"strings"
	"time"
)

// Info is what is known of one monitor, as of when it was asked.
type Info struct {
	// ID is from 1 on and never used again.
	ID   int64
	Name string
	// Running is false once the monitor was stopped; Failing tells whether an
	// incident is open, also while it is stopped.
	Running, Failing bool
	State            State
	// Value is the last one, as filtered. Error says why the last probe failed, or
	// which threshold its value is beyond, Detail what it saw.
	Value         float64
	Error, Detail string
	// Since is when State last changed; LastProbe and NextProbe are zero if there
	// was or will be none.
	Since, LastProbe, NextProbe time.Time
	Interval, Timeout           time.Duration
	Thresholds                  Thresholds
	// Probe and Filter are kinds; Actions are kinds and names of receivers.
	Probe, Filter string
	Actions       []string
	// Origin is "file:NAME.toml" or "api".
	Origin string
	// Probes made, those that failed, and those that were missed because one ran
	// longer than its interval or this process was too slow.
	Probes, Failures, Missed int64
	Labels                   map[string]string
}

// Filter selects monitors; each field that is not zero must match.
type Filter struct {
	ID    int64
	Name  string
	State *State
}

// List returns monitors by id.
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
		Thresholds: d.Thresholds, Probe: d.probe.Kind, Origin: d.Origin, Labels: d.Labels,
		NextProbe: r.group.scheduler.dueOf(r.job),
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
	i.Value, i.Since, i.LastProbe, i.Detail = r.value, r.since, r.lastProbe, r.detail
	i.Probes, i.Failures, i.Missed = r.probes, r.failedProbes, r.missed
	switch {
	case r.lastErr != nil:
		i.Error = oneLine(r.lastErr.Error())
	case !r.lastProbe.IsZero():
		i.Error = r.def.Thresholds.violation(r.value)
	}
	return i
}

// oneLine keeps an error readable in a list.
func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}
