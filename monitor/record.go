package monitor

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/microhq/monitor-srv/text"
)

// record is what a snapshot holds of one monitor. It holds no text of a definition and no
// secret. What is measured by the clock of the Group is an age, in nanoseconds, as of
// the record.
type record struct {
	recordOf
	recordJudge
	recordIncident
	recordResult
	Filter *filterState `json:"filter,omitempty"`
}

// recordOf says what monitor a record is of.
type recordOf struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	// OfFile is false for a registered monitor.
	OfFile bool `json:"file,omitempty"`
	// Definition is a fingerprint.
	Definition []byte `json:"definition,omitempty"`
	// Absent is the time since which the monitor is not defined; zero if it is.
	Absent time.Time `json:"absent,omitzero"`
}

// recordJudge is the judge of a monitor.
type recordJudge struct {
	State  State     `json:"state"`
	Since  time.Time `json:"since,omitzero"`
	Streak int       `json:"streak,omitempty"`
	Warned bool      `json:"warned,omitempty"`
	// InitDue is true if somebody is still to be notified of the start.
	InitDue bool `json:"initDue,omitempty"`
}

// recordIncident is the open incident.
type recordIncident struct {
	Incident string `json:"incident,omitempty"`
	Failures int    `json:"failures,omitempty"`
	// Failed and Notified are the ages of its begin and of its last notification.
	Failed   time.Duration `json:"failed,omitempty"`
	Notified time.Duration `json:"notified,omitempty"`
	// Seq is that of the last change of the monitor.
	Seq int64 `json:"seq,omitempty"`
}

// recordResult is the last result.
type recordResult struct {
	LastProbe time.Time `json:"lastProbe,omitzero"`
	Value     number    `json:"value"`
	Error     string    `json:"error,omitempty"`
	Detail    string    `json:"detail,omitempty"`
	// Counts are the numbers of probes, of failed and of missed ones.
	Counts [3]int64 `json:"counts"`
}

// number is a float64 that may be infinite or NaN.
type number float64

// MarshalText implements encoding.TextMarshaler.
func (n number) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(n), 'g', -1, 64), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *number) UnmarshalText(b []byte) error {
	v, err := strconv.ParseFloat(string(b), 64)
	*n = number(v)
	return err
}

// recalledError is the text of an error of before a restart.
type recalledError string

func (e recalledError) Error() string { return string(e) }

// record returns the record of the monitor.
func (r *runner) record() record {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.group.clock.Now()
	var k record
	k.recordOf = recordOf{ID: r.id, Name: r.def.Name, OfFile: r.isOfFile(), Definition: r.def.fingerprint(r.group.receivers.key)}
	k.recordJudge = recordJudge{State: r.judge.state, Since: r.since, Streak: r.judge.streak, InitDue: r.initDue || r.initPending()}
	k.recordResult = recordResult{
		LastProbe: r.lastProbe, Value: number(r.value), Detail: text.Clip(r.detail, maxError, ""),
		Counts: [3]int64{r.probes, r.failedProbes, r.missed},
	}
	k.Seq = r.seq
	if r.lastErr != nil {
		k.Error = text.Line(r.lastErr.Error(), maxError)
	}
	if k.State == Failing {
		k.Incident, k.Failures, k.Warned = r.incident, r.incidentFailures, r.judge.warned
		k.Failed, k.Notified = r.group.clock.Elapsed()-r.failedSince, now.Sub(r.judge.notifiedAt)
	}
	if p := cmp.Or(r.pipeline, r.ended); p != nil {
		k.Filter = p.filterState(now)
	}
	return k
}

// initPending reports whether receivers that wait for the first good result were not
// notified of the start yet. r.mu is held.
func (r *runner) initPending() bool {
	return slices.ContainsFunc(r.receivers, func(t Receiver) bool {
		_, onceGood := t.Inits()
		return onceGood && t.InitPending(r.def.Name)
	})
}

const (
	// maxIncident bounds the id of an incident, in bytes.
	maxIncident = 64
	// maxAge bounds what a record may say of ages: no instance runs for a century.
	maxAge = 100 * 365 * 24 * time.Hour
)

// check rejects a record that no Group wrote.
func (k *record) check() error {
	negative := slices.Min([]int64{k.ID - 1, int64(k.Streak), int64(k.Failures), k.Seq, k.Counts[0], k.Counts[1], k.Counts[2], int64(k.Failed), int64(k.Notified)})
	switch {
	case k.Name == "" || len(k.Name) > maxNameBytes:
		return fmt.Errorf("its name has %d bytes: at most %d are possible", len(k.Name), maxNameBytes)
	case k.State > Failing:
		return fmt.Errorf("its state is %d", k.State)
	case negative < 0:
		return errors.New("it has a negative number")
	case max(k.Failed, k.Notified) > maxAge:
		return fmt.Errorf("its incident or last notification is too old: at most %v are possible", maxAge)
	case k.Streak > maxConfirm:
		return fmt.Errorf("its streak is %d: at most %d is possible", k.Streak, maxConfirm)
	case len(k.Incident) > maxIncident || len(k.Definition) > fingerprintSize:
		return errors.New("its incident or fingerprint is too long")
	}
	k.Error, k.Detail = text.Line(k.Error, maxError), text.Clip(text.Lines(k.Detail), maxError, "")
	if k.Filter != nil {
		return k.Filter.check()
	}
	return nil
}

// isExpired reports whether a monitor was absent for too long.
func (k *record) isExpired(now time.Time) bool { return now.Sub(k.Absent) > maxAbsent }

// isOf reports whether the record is that of a definition with the fingerprint.
func (k *record) isOf(fingerprint []byte) bool {
	return fingerprint != nil && bytes.Equal(k.Definition, fingerprint)
}

// age adds to the ages.
func (k *record) age(gone time.Duration) {
	k.Failed += gone
	k.Notified += gone
	if k.Filter != nil {
		k.Filter.Age += gone
	}
}

// past returns what a monitor takes over. That it was failing is for an open incident to
// say: its state is unknown until then.
func (k *record) past(now time.Time) (standing, past) {
	s := standing{state: k.State}
	p := past{
		seq: k.Seq, since: notAfter(k.Since, now), lastProbe: notAfter(k.LastProbe, now),
		value: float64(k.Value), detail: k.Detail,
		probes: k.Counts[0], failedProbes: k.Counts[1], missed: k.Counts[2],
	}
	if k.Error != "" {
		p.lastErr = recalledError(k.Error)
	}
	if k.State == Failing {
		s.state, p.since = Unknown, time.Time{}
	}
	return s, p
}
