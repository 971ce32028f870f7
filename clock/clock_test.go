package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

// far is a time without a monotonic reading, as time.Now returns it after 2157.
var far = time.Date(2226, 1, 1, 0, 0, 0, 0, time.UTC)

// Faults: S14.
func TestDifferencesFollowTheMonotonicClock(t *testing.T) {
	up := time.Hour
	for name, start := range map[string]time.Time{"now": time.Now(), "far in the future": far} {
		c := newClock(start, func() time.Duration { return up })
		before := c.Now()
		if d := before.Sub(start); d < 0 || d > time.Minute {
			t.Errorf("%s: the clock begins %v after its start", name, d)
		}
		up += time.Second
		if d := c.Since(before); d < 0 || d > time.Minute {
			t.Errorf("%s: %v have passed", name, d)
		}
		if c.Now().Before(before) {
			t.Errorf("%s: the clock goes back", name)
		}
	}
	c := newClock(far, func() time.Duration { return up })
	before := c.Now()
	up += time.Second
	if d := c.Since(before); d != time.Second {
		t.Errorf("%v have passed, want 1s", d)
	}
}

func TestClockIsThatOfABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New()
		before := c.Now()
		time.Sleep(24 * time.Hour)
		if d := c.Since(before); d != 24*time.Hour {
			t.Errorf("%v have passed, want 24h", d)
		}
		if got, want := c.Wall(c.Now().Add(time.Minute)), time.Now().Add(time.Minute); !got.Equal(want) {
			t.Errorf("in a minute it is %v, want %v", got, want)
		}
		if !c.Wall(time.Time{}).IsZero() {
			t.Error("the zero time is not shown as such")
		}
	})
}

func TestSystemIsNotSuspendedMeanwhile(t *testing.T) {
	before, up := Suspended(), uptime()
	if d := Suspended() - before; d < -time.Second || d > time.Second {
		t.Errorf("suspended for %v", d)
	}
	if uptime() < up || up == 0 {
		t.Errorf("up for %v, then for %v", up, uptime())
	}
}
