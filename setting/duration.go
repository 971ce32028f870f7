package setting

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// MaxDuration is the longest Duration of a document.
const MaxDuration = 24 * time.Hour

// Duration is a time.Duration that a document writes as a number of seconds or
// as a string such as "10s" or "1m30s". It is never negative.
type Duration time.Duration

// UnmarshalTOML accepts an int64, a float64 or a string.
func (d *Duration) UnmarshalTOML(v any) error {
	var t time.Duration
	switch v := v.(type) {
	case int64:
		if v < 0 || v > int64(MaxDuration/time.Second) {
			return fmt.Errorf("%d seconds is out of range: give 0 to %d", v, int64(MaxDuration/time.Second))
		}
		t = time.Duration(v) * time.Second
	case float64:
		if math.IsNaN(v) || v < 0 || v > MaxDuration.Seconds() {
			return fmt.Errorf("%v seconds is out of range: give 0 to %v", v, MaxDuration.Seconds())
		}
		t = time.Duration(v * float64(time.Second))
	case string:
		var err error
		if t, err = time.ParseDuration(v); err != nil {
			return fmt.Errorf("%q is not a duration: give seconds or a string such as \"10s\"", v)
		}
		if t < 0 || t > MaxDuration {
			return fmt.Errorf("%q is out of range: give 0s to %v", v, Duration(MaxDuration))
		}
	default:
		return fmt.Errorf("%T is not a duration: give seconds or a string such as \"10s\"", v)
	}
	*d = Duration(t)
	return nil
}

// AcceptsTOML reports whether v has a type that UnmarshalTOML accepts, and describes
// these types.
func (d *Duration) AcceptsTOML(v any) (expected string, ok bool) {
	switch v.(type) {
	case string, int64, float64:
		ok = true
	}
	return `seconds or a string such as "10s"`, ok
}

// String returns the duration in the format of time.Duration without trailing zero
// minutes and seconds: 24h, 1h30m, 1m30s.
func (d Duration) String() string {
	text := time.Duration(d).String()
	for _, zero := range []struct{ after, part string }{{"m", "0s"}, {"h", "0m"}} {
		if strings.HasSuffix(text, zero.after+zero.part) {
			text = strings.TrimSuffix(text, zero.part)
		}
	}
	return text
}

// MarshalText returns a string that UnmarshalTOML accepts.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
