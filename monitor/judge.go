package monitor

import "time"

// State is the state of a monitor, or the verdict on one result of its probe.
type State uint8

// The states of a monitor. The zero State is Unknown: the monitor was not probed
// yet, or not often enough for a verdict.
const (
	Unknown State = iota
	OK
	Warning
	Failing
	Stopped
)

// String returns the name that API responses use.
func (s State) String() string {
	switch s {
	case OK:
		return "OK"
	case Warning:
		return "WARNING"
	case Failing:
		return "FAILING"
	case Stopped:
		return "STOPPED"
	}
	return "UNKNOWN"
}

// judge is the state machine of one monitor. It has no clock: each result comes
// with its time, of the clock of the Group.
type judge struct {
	thresholds Thresholds
	standing
	// streak counts the consecutive results that contradict state.
	streak int
}

// standing is what a judge keeps if its thresholds change.
type standing struct {
	state State
	// warned is set in the state Failing while no result was worse than a warning.
	warned bool
	// notifiedAt is the time of the last Fail or Repeat.
	notifiedAt time.Time
}

// observe takes the verdict on one result and returns the event that it causes:
// Fail, Repeat, Recover or none. confirming is true while a change of state needs
// more results.
func (j *judge) observe(verdict State, at time.Time) (event Event, confirming bool) {
	if j.state == Failing {
		return j.observeFailing(verdict, at)
	}
	if !j.bad(verdict) {
		j.state, j.streak = verdict, 0
		return "", false
	}
	j.streak++
	if j.streak < j.thresholds.FailuresBeforeAlert {
		return "", true
	}
	j.state, j.streak, j.notifiedAt, j.warned = Failing, 0, at, verdict == Warning
	return Fail, false
}

// bad reports whether a verdict is a failure.
func (j *judge) bad(verdict State) bool {
	return verdict == Failing || verdict == Warning && j.thresholds.WarningFails
}

func (j *judge) observeFailing(verdict State, at time.Time) (event Event, confirming bool) {
	if !j.bad(verdict) {
		j.streak++
		if j.streak < j.thresholds.SuccessesBeforeRecover {
			return "", true
		}
		j.state, j.streak = verdict, 0
		return Recover, false
	}
	j.streak = 0
	worse := j.warned && verdict == Failing
	if repeat := j.thresholds.Repeat; worse || repeat > 0 && at.Sub(j.notifiedAt) >= repeat {
		j.notifiedAt, j.warned = at, j.warned && !worse
		return Repeat, false
	}
	return "", false
}
