package monitor

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// play feeds a judge one letter a second: g good, d doubtful, b bad. It returns
// the state after each sample, with F, R or M before it for a change.
func play(j *judge, samples string) string {
	at := time.Unix(0, 0)
	var out []string
	for _, r := range samples {
		g := map[rune]grade{'g': good, 'd': doubtful, 'b': bad}[r]
		c, confirming := j.observe(g, at)
		word := map[change]string{unchanged: "", failed: "F", recovered: "R", reminded: "M"}[c] + j.state.String()[:2]
		if confirming {
			word += "?"
		}
		out = append(out, word)
		at = at.Add(time.Second)
	}
	return strings.Join(out, " ")
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		alert, recover int
		repeat         time.Duration
		samples, want  string
	}{
		{1, 1, 0, "", ""},
		{1, 1, 0, "gbbg", "OK FFA FA ROK"},
		{1, 1, 0, "b", "FFA"},
		{1, 1, 0, "dgd", "WA OK WA"},
		{1, 1, 0, "bd", "FFA RWA"},
		{3, 1, 0, "gbbgbbb", "OK OK? OK? OK OK? OK? FFA"},
		{3, 1, 0, "bbb", "UN? UN? FFA"},
		{2, 1, 0, "dbb", "WA WA? FFA"},
		{1, 2, 0, "bgbgg", "FFA FA? FA FA? ROK"},
		{1, 2, 0, "bgd", "FFA FA? RWA"},
		{2, 2, 0, "bbggbbgg", "UN? FFA FA? ROK OK? FFA FA? ROK"},
		{1, 1, 2 * time.Second, "bbbbbg", "FFA FA MFA FA MFA ROK"},
		{1, 3, 2 * time.Second, "bggbggg", "FFA FA? FA? MFA FA? FA? ROK"},
	} {
		name := fmt.Sprintf("alert %d recover %d repeat %v %s", c.alert, c.recover, c.repeat, c.samples)
		t.Run(name, func(t *testing.T) {
			j := &judge{thresholds: Thresholds{FailuresBeforeAlert: c.alert, SuccessesBeforeRecover: c.recover, Repeat: c.repeat}}
			if got := play(j, c.samples); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// A failure that is told is always ended by exactly one recovery before the
// next, whatever the samples.
// Faults: G5.
func FuzzJudge(f *testing.F) {
	f.Add(uint8(3), uint8(2), []byte("ggbbbggbgb"))
	f.Fuzz(func(t *testing.T, alert, recover uint8, samples []byte) {
		j := &judge{thresholds: Thresholds{FailuresBeforeAlert: int(alert%5) + 1, SuccessesBeforeRecover: int(recover%5) + 1, Repeat: time.Second}}
		at := time.Unix(0, 0)
		open := false
		for _, b := range samples {
			at = at.Add(time.Duration(b) * time.Millisecond)
			switch c, _ := j.observe(grade(b%3), at); c {
			case failed:
				if open {
					t.Fatal("failed twice")
				}
				open = true
			case recovered:
				if !open {
					t.Fatal("recovered without a failure")
				}
				open = false
			case reminded:
				if !open {
					t.Fatal("reminded without a failure")
				}
			}
			if open != (j.state == Failing) {
				t.Fatalf("state is %v, failure told %v", j.state, open)
			}
		}
	})
}

// Faults: G5.
func TestNaNIsFailure(t *testing.T) {
	wide := Thresholds{Min: -math.MaxFloat64, Max: math.MaxFloat64}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got := wide.grade(v); got != bad {
			t.Errorf("grade(%v) = %v, want bad", v, got)
		}
	}
}

func TestGrade(t *testing.T) {
	low, high := 2.0, 8.0
	th := Thresholds{Min: 0, Max: 10, WarnMin: &low, WarnMax: &high}
	for v, want := range map[float64]grade{-0.1: bad, 0: doubtful, 1.9: doubtful, 2: good, 8: good, 8.1: doubtful, 10: doubtful, 10.1: bad} {
		if got := th.grade(v); got != want {
			t.Errorf("grade(%v) = %v, want %v", v, got, want)
		}
	}
}
