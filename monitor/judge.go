package monitor

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// State is what a monitor is judged to be.
type State uint8

// The states of a monitor. The zero State is Unknown: never probed, or not yet
// often enough to tell.
const (
	Unknown State = iota
	OK
	Warning
	Failing
	Stopped
)

// String returns the name that answers carry.
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

// Thresholds say which values are good, and how often a change must be seen
// before it counts.
type Thresholds struct {
	// A value outside [Min, Max] is a failure.
	Min, Max float64
	// A value outside [WarnMin, WarnMax] is a warning; no bound if nil.
	WarnMin, WarnMax *float64
	// FailuresBeforeAlert in a row make a monitor failing; at least 1.
	FailuresBeforeAlert int
	// SuccessesBeforeRecover in a row end a failure; at least 1.
	SuccessesBeforeRecover int
	// Repeat reminds of a failure that lasts, if not zero.
	Repeat time.Duration
}

// grade is what one sample says by itself.
type grade uint8

const (
	good grade = iota
	doubtful
	bad
)

// grade judges a value. NaN and the infinities are bad whatever the bounds.
func (t Thresholds) grade(v float64) grade {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0) || !(t.Min <= v && v <= t.Max):
		return bad
	case t.WarnMin != nil && !(*t.WarnMin <= v), t.WarnMax != nil && !(v <= *t.WarnMax):
		return doubtful
	}
	return good
}

// wrong says which bound a value is beyond, or nothing if it is good.
func (t Thresholds) violation(v float64) string {
	beyond := func(side, name string, bound float64) string {
		return fmt.Sprintf("the value %s is %s %s, %s", formatValue(v), side, name, formatValue(bound))
	}
	switch {
	case v < t.Min:
		return beyond("below", "min", t.Min)
	case v > t.Max:
		return beyond("above", "max", t.Max)
	case t.WarnMin != nil && v < *t.WarnMin:
		return beyond("below", "warn_min", *t.WarnMin)
	case t.WarnMax != nil && v > *t.WarnMax:
		return beyond("above", "warn_max", *t.WarnMax)
	}
	return ""
}

// digits writes a number as people do, without an exponent unless it would be
// long.
func formatValue(v float64) string {
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e15) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// change is what a sample did to the state of a monitor.
type change uint8

const (
	unchanged change = iota
	// failed begins an incident, recovered ends it, reminded says it lasts.
	failed
	recovered
	reminded
	// retold says of a failure that was told before that somebody may not have
	// heard; a receiver that has takes it for a copy.
	retold
)

// judge is the state machine of one monitor. It knows no clock: time comes with
// each sample, from the monotonic clock.
type judge struct {
	thresholds Thresholds
	state      State
	// row counts the samples in a row that contradict state.
	streak int
	// told is when the failure was last told.
	notifiedAt time.Time
}

// sample takes the grade of one sample and says what changed. confirming is set
// while a change awaits more samples.
func (j *judge) observe(g grade, at time.Time) (c change, confirming bool) {
	if j.state == Failing {
		return j.whileFailing(g, at)
	}
	if g == bad {
		j.streak++
		if j.streak < j.thresholds.FailuresBeforeAlert {
			return unchanged, true
		}
		j.state, j.streak, j.notifiedAt = Failing, 0, at
		return failed, false
	}
	j.streak = 0
	j.state = calm(g)
	return unchanged, false
}

func (j *judge) whileFailing(g grade, at time.Time) (change, bool) {
	if g != bad {
		j.streak++
		if j.streak < j.thresholds.SuccessesBeforeRecover {
			return unchanged, true
		}
		j.state, j.streak = calm(g), 0
		return recovered, false
	}
	j.streak = 0
	if j.thresholds.Repeat > 0 && at.Sub(j.notifiedAt) >= j.thresholds.Repeat {
		j.notifiedAt = at
		return reminded, false
	}
	return unchanged, false
}

func calm(g grade) State {
	if g == doubtful {
		return Warning
	}
	return OK
}

// pointless returns the warnings about thresholds that say nothing, by key.
func (t Thresholds) warnings() map[string]error {
	wrong := make(map[string]error)
	if w := t.WarnMin; w != nil && *w <= t.Min {
		wrong["warn_min"] = fmt.Errorf("%s is not above min, %s: it never warns", formatValue(*w), formatValue(t.Min))
	} else if w != nil && *w > t.Max {
		wrong["warn_min"] = fmt.Errorf("%s is above max, %s: every good value is a warning", formatValue(*w), formatValue(t.Max))
	}
	if w := t.WarnMax; w != nil && *w >= t.Max {
		wrong["warn_max"] = fmt.Errorf("%s is not below max, %s: it never warns", formatValue(*w), formatValue(t.Max))
	} else if w != nil && *w < t.Min {
		wrong["warn_max"] = fmt.Errorf("%s is below min, %s: every good value is a warning", formatValue(*w), formatValue(t.Min))
	}
	return wrong
}
