package guard

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// spread returns the shortest and the longest of many first, second, third, ...
// delays of a backoff.
func spread(n int, lo, hi time.Duration) (shortest, longest []time.Duration) {
	for range 1000 {
		var b Backoff
		for i := range n {
			d := b.Next(lo, hi)
			if len(shortest) == i {
				shortest, longest = append(shortest, d), append(longest, d)
			}
			shortest[i], longest[i] = min(shortest[i], d), max(longest[i], d)
		}
	}
	return shortest, longest
}

func TestBackoffDoublesUpToItsLongestDelay(t *testing.T) {
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second}
	shortest, longest := spread(len(want), time.Second, 10*time.Second)
	for i, d := range want {
		// Of a thousand delays some come close to both ends.
		if shortest[i] < d*3/4 || shortest[i] > d*4/5 || longest[i] > d || longest[i] < d*19/20 {
			t.Errorf("delay %d lies between %v and %v, want all from %v to %v", i+1, shortest[i], longest[i], d*3/4, d)
		}
	}
}

func TestBackoffNeverExceedsALongestDelayBelowTheShortest(t *testing.T) {
	_, longest := spread(2, time.Minute, time.Second)
	if longest[0] > time.Second || longest[1] > time.Second {
		t.Errorf("delays up to %v, want at most 1s", longest)
	}
}

func TestBackoffStartsAgainAfterAReset(t *testing.T) {
	var b Backoff
	for range 5 {
		b.Next(time.Second, time.Minute)
	}
	b.Reset()
	for i, most := range []time.Duration{time.Second, 2 * time.Second} {
		if d := b.Next(time.Second, time.Minute); d > most || d < most*3/4 {
			t.Errorf("delay %d after the reset is %v, want %v at most", i+1, d, most)
		}
	}
}

func TestPauseTellsWhetherItWasCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		if !Pause(ctx, 45*time.Second) || time.Since(begin) != 45*time.Second {
			t.Errorf("it was cut short after %v", time.Since(begin))
		}
		if Pause(ctx, 45*time.Second) || time.Since(begin) != time.Minute {
			t.Errorf("it was not cut short, or after %v, want 1m", time.Since(begin))
		}
	})
}
