package monitor

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// SnapshotVersion is that of the form of the records of WriteSnapshot.
const SnapshotVersion = 1

// WriteSnapshot passes a record of each monitor to add: all that it knows and the journal
// does not. Each is written as of its own moment.
func (g *Group) WriteSnapshot(add func(data []byte) error) error {
	now := time.Now()
	g.mu.Lock() // for both maps: a record may move from one to the other
	runners := slices.Collect(maps.Values(g.byID))
	maps.DeleteFunc(g.recalled, func(_ string, k *record) bool { return k.isExpired(now) })
	absent := slices.Collect(maps.Values(g.recalled))
	g.mu.Unlock()
	write := func(k *record) error {
		data, err := json.Marshal(k)
		if err != nil {
			return fmt.Errorf("encoding monitor %q: %w", k.Name, err)
		}
		return add(data)
	}
	for _, r := range runners {
		k := r.record()
		if err := write(&k); err != nil {
			return err
		}
	}
	for _, k := range absent {
		if err := write(k); err != nil {
			return err
		}
	}
	return nil
}

// Restarted says for how long no process ran before this one, as far as that is known. It
// is called before the monitors are added.
func (g *Group) Restarted(down time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = max(0, down)
}

// ReadSnapshot takes a record that WriteSnapshot wrote before a restart. It is called
// before the monitors are added, which take their records then: those with the same
// name, id and kind of place. The record of an undefined monitor is retained for 24
// hours.
//
// The time without a process is a standstill: streaks and filters go on where they
// were. Whether an incident is open is for Resume to say.
func (g *Group) ReadSnapshot(version int, data []byte) error {
	if version != SnapshotVersion {
		return fmt.Errorf("a record of version %d: only %d is known", version, SnapshotVersion)
	}
	k := new(record)
	if err := json.Unmarshal(data, k); err != nil {
		return fmt.Errorf("decoding the record of a monitor: %w", err)
	}
	if err := k.check(); err != nil {
		return fmt.Errorf("the record of monitor %.200q: %w", k.Name, err)
	}
	now := time.Now()
	if k.Absent.IsZero() {
		k.Absent = now
	}
	k.Absent = notAfter(k.Absent, now)
	if k.isExpired(now) {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.recalled[k.Name] = k
	return nil
}

// recall makes a monitor continue from its record, if there is one. g.mu is held.
func (g *Group) recall(r *runner) {
	k := g.recalled[r.def.Name]
	if k == nil {
		return
	}
	delete(g.recalled, r.def.Name)
	if k.ID != r.id || k.OfFile != r.isOfFile() {
		return // another monitor had the name
	}
	r.recall(k, g.down+g.clock.Elapsed())
}

// recall continues from the record of a monitor, which was cut gone ago, as copyState
// continues from a runner: a changed definition begins a new streak and a new filter.
// g.mu is held.
func (r *runner) recall(k *record, gone time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k.age(gone)
	if r.group.down == 0 && k.Filter != nil && k.Filter.Age > 0 { // nobody knows how old it is
		k.Filter = nil
	}
	if !k.isOf(r.def.fingerprint(r.group.receivers.key)) {
		k.Streak, k.Filter = 0, nil
	}
	s, p := k.past(time.Now())
	r.takeOver(s, p, k.InitDue)
	if k.State != Failing {
		r.judge.streak = k.Streak
	}
	r.recalled = k
}

// recallIncident continues the open incident of a record. r.mu is held.
func (r *runner) recallIncident(k *record) {
	if r.seq <= k.Seq { // nobody was notified after the record
		r.judge.notifiedAt = r.group.clock.Now().Add(-k.Notified)
	}
	r.judge.warned, r.judge.streak = k.Warned, k.Streak
	r.incidentFailures = max(r.incidentFailures, k.Failures)
	r.failedSince = r.group.clock.Elapsed() - k.Failed
}

// recallFilter continues the filter of a record. r.mu is held.
func (r *runner) recallFilter(p *pipeline) {
	if k := r.recalled; k != nil && k.Filter != nil {
		p.recallFilters(*k.Filter, r.group.clock.Now())
		k.Filter = nil
	}
}
