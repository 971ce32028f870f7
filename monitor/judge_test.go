package monitor

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// observeAll passes one verdict per second to a judge: o is OK, w is Warning, f is
// Failing. It returns the state after each, with F, R or M in front for Fail, Recover
// and Repeat, and ? behind while a change is being confirmed.
func observeAll(j *judge, verdicts string) string {
	at := time.Unix(0, 0)
	var out []string
	for _, r := range verdicts {
		verdict := map[rune]State{'o': OK, 'w': Warning, 'f': Failing}[r]
		event, confirming := j.observe(verdict, at)
		word := map[Event]string{"": "", Fail: "F", Recover: "R", Repeat: "M"}[event] + j.state.String()[:2]
		if confirming {
			word += "?"
		}
		out = append(out, word)
		at = at.Add(time.Second)
	}
	return strings.Join(out, " ")
}

func TestJudgeStates(t *testing.T) {
	for _, c := range []struct {
		alert, recover int
		repeat         time.Duration
		verdicts, want string
	}{
		{1, 1, 0, "", ""},
		{1, 1, 0, "offo", "OK FFA FA ROK"},
		{1, 1, 0, "f", "FFA"},
		{1, 1, 0, "wow", "WA OK WA"},
		{1, 1, 0, "fw", "FFA RWA"},
		{3, 1, 0, "offofff", "OK OK? OK? OK OK? OK? FFA"},
		{3, 1, 0, "fff", "UN? UN? FFA"},
		{2, 1, 0, "wff", "WA WA? FFA"},
		{1, 2, 0, "fofoo", "FFA FA? FA FA? ROK"},
		{1, 2, 0, "fow", "FFA FA? RWA"},
		{2, 2, 0, "ffooffoo", "UN? FFA FA? ROK OK? FFA FA? ROK"},
		{1, 1, 2 * time.Second, "fffffo", "FFA FA MFA FA MFA ROK"},
		{1, 3, 2 * time.Second, "foofooo", "FFA FA? FA? MFA FA? FA? ROK"},
	} {
		name := fmt.Sprintf("alert %d recover %d repeat %v %s", c.alert, c.recover, c.repeat, c.verdicts)
		t.Run(name, func(t *testing.T) {
			j := &judge{thresholds: Thresholds{FailuresBeforeAlert: c.alert, SuccessesBeforeRecover: c.recover, Repeat: c.repeat}}
			if got := observeAll(j, c.verdicts); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// Whatever the verdicts, each Fail is followed by exactly one Recover before the next
// Fail.
// Faults: G5.
func FuzzJudge(f *testing.F) {
	f.Add(uint8(3), uint8(2), []byte("ggbbbggbgb"))
	f.Fuzz(func(t *testing.T, alert, recover uint8, results []byte) {
		j := &judge{thresholds: Thresholds{FailuresBeforeAlert: int(alert%5) + 1, SuccessesBeforeRecover: int(recover%5) + 1, Repeat: time.Second}}
		at := time.Unix(0, 0)
		open := false
		for _, b := range results {
			at = at.Add(time.Duration(b) * time.Millisecond)
			event, _ := j.observe([]State{OK, Warning, Failing}[b%3], at)
			if wasOpen := event == Recover || event == Repeat; event != "" && open != wasOpen {
				t.Fatalf("event %s, open incident %v", event, open)
			}
			switch event {
			case Fail:
				open = true
			case Recover:
				open = false
			}
			if open != (j.state == Failing) {
				t.Fatalf("state %v, open incident %v", j.state, open)
			}
		}
	})
}

// Faults: G5.
func TestNaNIsFailure(t *testing.T) {
	unbounded := Thresholds{Min: -math.MaxFloat64, Max: math.MaxFloat64}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got := unbounded.verdict(v); got != Failing {
			t.Errorf("verdict(%v) = %v, want %v", v, got, Failing)
		}
	}
}

func TestVerdictOfThresholds(t *testing.T) {
	low, high := 2.0, 8.0
	th := Thresholds{Min: 0, Max: 10, WarnMin: &low, WarnMax: &high}
	for v, want := range map[float64]State{-0.1: Failing, 0: Warning, 1.9: Warning, 2: OK, 8: OK, 8.1: Warning, 10: Warning, 10.1: Failing} {
		if got := th.verdict(v); got != want {
			t.Errorf("verdict(%v) = %v, want %v", v, got, want)
		}
	}
}
