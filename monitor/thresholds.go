package monitor

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/text"
)

// Thresholds say which values are OK, and how many results in a row change the
// state of a monitor.
type Thresholds struct {
	// A value outside [Min, Max] is a failure.
	Min, Max float64
	// A value outside [WarnMin, WarnMax] is a warning; nil is no bound.
	WarnMin, WarnMax *float64
	// FailuresBeforeAlert failures in a row make a monitor failing; at least 1.
	FailuresBeforeAlert int
	// SuccessesBeforeRecover successes in a row end a failure; at least 1.
	SuccessesBeforeRecover int
	// WarningFails makes a warning a failure too: it is notified of.
	WarningFails bool
	// Repeat is the interval between reminders of a failure; 0 sends none.
	Repeat time.Duration
}

// verdict returns OK, Warning or Failing for a value. NaN and the infinities fail
// whatever the bounds.
func (t Thresholds) verdict(v float64) State {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0) || !(t.Min <= v && v <= t.Max):
		return Failing
	case t.WarnMin != nil && !(*t.WarnMin <= v), t.WarnMax != nil && !(v <= *t.WarnMax):
		return Warning
	}
	return OK
}

// violation describes the threshold that a value violates. It is empty if the
// value is OK.
func (t Thresholds) violation(v float64) string {
	describe := func(side, name string, bound float64) string {
		value := text.Number(v)
		if value == text.ExactNumber(bound) { // only the digits that are cut differ
			value = text.ExactNumber(v)
		}
		return fmt.Sprintf("value %s is %s %s %s", value, side, name, text.ExactNumber(bound))
	}
	switch {
	case v < t.Min:
		return describe("below", "min", t.Min)
	case v > t.Max:
		return describe("above", "max", t.Max)
	case t.WarnMin != nil && v < *t.WarnMin:
		return describe("below", "warn_min", *t.WarnMin)
	case t.WarnMax != nil && v > *t.WarnMax:
		return describe("above", "warn_max", *t.WarnMax)
	}
	return ""
}

// warnings returns the thresholds that have no effect, or warn of every value in
// range, by key.
func (t Thresholds) warnings() map[string]error {
	found := make(map[string]error)
	if w := t.WarnMin; w != nil && *w <= t.Min {
		found["warn_min"] = fmt.Errorf("%s is not above min %s: it never warns", text.ExactNumber(*w), text.ExactNumber(t.Min))
	} else if w != nil && *w > t.Max {
		found["warn_min"] = fmt.Errorf("%s is above max %s: every value in range is a warning", text.ExactNumber(*w), text.ExactNumber(t.Max))
	}
	if w := t.WarnMax; w != nil && *w >= t.Max {
		found["warn_max"] = fmt.Errorf("%s is not below max %s: it never warns", text.ExactNumber(*w), text.ExactNumber(t.Max))
	} else if w != nil && *w < t.Min {
		found["warn_max"] = fmt.Errorf("%s is below min %s: every value in range is a warning", text.ExactNumber(*w), text.ExactNumber(t.Min))
	}
	return found
}

// warningFails reports whether the key status names WARNING besides ERROR, which is always
// notified of and may be spelt FAILING.
func warningFails(statuses []string) (warning bool, err error) {
	failing := len(statuses) == 0
	for _, status := range statuses {
		switch strings.ToUpper(status) {
		case "ERROR", Failing.String():
			failing = true
		case Warning.String():
			warning = true
		default:
			return false, fmt.Errorf("%q is unknown; known are ERROR and WARNING", status)
		}
	}
	if !failing {
		return false, errors.New(`ERROR is always notified of: give ["WARNING", "ERROR"]`)
	}
	return warning, nil
}
