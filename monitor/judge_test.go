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

// With WARNING in status, a warning is a failure, and a failure after warnings only is told
// at once.
// Faults: U3.
func TestWarningsAreFailuresIfAsked(t *testing.T) {
	for _, c := range []struct{ verdicts, want string }{
		{"owo", "OK FFA ROK"}, {"owwo", "OK FFA FA ROK"}, {"owffwo", "OK FFA MFA FA FA ROK"}, {"fwfo", "FFA FA FA ROK"},
	} {
		j := &judge{thresholds: Thresholds{FailuresBeforeAlert: 1, SuccessesBeforeRecover: 1, WarningFails: true}}
		if got := observeAll(j, c.verdicts); got != c.want {
			t.Errorf("%s: got  %s, want %s", c.verdicts, got, c.want)
		}
	}
}

// Faults: U3.
func TestStatusesOfAMonitorAreThoseOfARule(t *testing.T) {
	for _, c := range []struct {
		statuses []string
		warning  bool
		wantErr  string
	}{
		{nil, false, ""}, {[]string{"ERROR"}, false, ""}, {[]string{"failing"}, false, ""},
		{[]string{"WARNING", "ERROR"}, true, ""}, {[]string{"Failing", "warning"}, true, ""},
		{[]string{"WARNING"}, false, "ERROR is always notified of"},
		{[]string{"ERROR", "UNKNOWN"}, false, `"UNKNOWN" is unknown; known are ERROR and WARNING`},
	} {
		warning, err := warningFails(c.statuses)
		if warning != c.warning || (err != nil) != (c.wantErr != "") || err != nil && !strings.Contains(err.Error(), c.wantErr) {
			t.Errorf("%q: %v, %v, want %v, %q", c.statuses, warning, err, c.warning, c.wantErr)
		}
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

func TestFailureAndRecoveryAreNotified(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.mustApply(t, monitorTOML("m", "interval = 10\nfailures_before_alert = 3\nretry_interval = 1"))
		time.Sleep(15 * time.Second)
		b.setProbe(down)
		time.Sleep(12 * time.Second)
		info := b.List(Filter{})[0]
		if info.State != Failing || !info.Failing || info.Error != "down" {
			t.Errorf("12s after the failure the monitor is %+v", info)
		}
		b.setProbe(up)
		time.Sleep(10 * time.Second)
		if got, want := b.events(), "m:init m:fail m:recover"; got != want {
			t.Errorf("notified %s, want %s", got, want)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		fail, recover := b.notifications[1], b.notifications[2]
		if fail.Incident == "" || fail.Incident != recover.Incident || fail.Seq >= recover.Seq || recover.Duration <= 0 || fail.Error != "down" || fail.Host != "here" {
			t.Errorf("fail %+v, recover %+v", fail, recover)
		}
	})
}

// TestViolatedThresholdIsReported expects the threshold in the list, in the recorded
// result and in the notifications.
func TestViolatedThresholdIsReported(t *testing.T) {
	for keys, c := range map[string]struct {
		value    float64
		want     string
		notified bool
	}{
		"max = 90":                  {97.25, "value 97.25 is above max 90", true},
		"min = -5\nmax = 1000000":   {1234567, "value 1234567 is above max 1000000", true},
		"min = 5\nmax = 6":          {-2, "value -2 is below min 5", true},
		"max = 90\nwarn_max = 80.5": {85, "value 85 is above warn_max 80.5", false},
		"max = 90\nwarn_min = 3":    {2, "value 2 is below warn_min 3", false},
		"max = 30":                  {30, "", false},
	} {
		withBench(t, func(t *testing.T, b *bench) {
			b.setProbe(returning(c.value))
			b.mustApply(t, monitorTOML("m", "interval = 2\nrepeat = 2\n"+keys))
			if got := b.List(Filter{})[0].Error; got != "" {
				t.Errorf("%s, before the first probe: %q", keys, got)
			}
			time.Sleep(5 * time.Second)
			if got := b.List(Filter{})[0].Error; got != c.want {
				t.Errorf("%s: listed with %q, want %q", keys, got, c.want)
			}
			b.setProbe(returning(5))
			time.Sleep(3 * time.Second)
			b.mu.Lock()
			defer b.mu.Unlock()
			if got := b.results[0]; got.Violation != c.want || got.Err != nil {
				t.Errorf("%s: recorded with %q, want %q", keys, got.Violation, c.want)
			}
			var got []string
			for _, n := range b.notifications {
				got = append(got, string(n.Event)+": "+n.Error)
			}
			want := "init: "
			if c.notified {
				want = fmt.Sprintf("init: , fail: %s, repeat: %[1]s, recover: ", c.want)
			}
			if got := strings.Join(got, ", "); got != want {
				t.Errorf("%s:\nnotified %s\nwant %s", keys, got, want)
			}
		})
	}
}

// TestFailedProbeDoesNotPoisonTheAverage has one probe return an infinity.
// Faults: G22.
func TestFailedProbeDoesNotPoisonTheAverage(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(returning(math.Inf(1)))
		doc := strings.ReplaceAll(monitorTOML("m", "interval = 5\nmax = 10"), "[[monitor.actions]]", "[monitor.filter]\ntype = \"average\"\nwindow = 3\n[[monitor.actions]]")
		b.mustApply(t, doc)
		time.Sleep(6 * time.Second)
		if i := b.List(Filter{})[0]; i.State != Failing || i.Error != "invalid value +Inf" {
			t.Errorf("infinity: %+v", i)
		}
		b.setProbe(returning(4))
		time.Sleep(5 * time.Second)
		if i := b.List(Filter{})[0]; i.State != OK || i.Value != 4 {
			t.Errorf("afterwards: %+v", i)
		}
	})
}

// TestMonitorNeverProbedIsUnknown lists a monitor before and after its first probe.
// Faults: G38.
func TestMonitorNeverProbedIsUnknown(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.apply(t, "a.toml", monitorTOML("m", "interval = 5"))
		if i := b.List(Filter{})[0]; i.State != Unknown || i.Failing || !i.Running || i.NextProbe.IsZero() || !i.LastProbe.IsZero() {
			t.Errorf("before: %+v", i)
		}
		time.Sleep(6 * time.Second)
		if i := b.List(Filter{})[0]; i.State != OK || i.LastProbe.IsZero() {
			t.Errorf("after: %+v", i)
		}
	})
}

// TestDurationsAreNeverNegative sets the clock back during a restart.
// Faults: T16.
func TestDurationsAreNeverNegative(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(down)
		b.apply(t, "a.toml", monitorTOML("m", "interval = 2"))
		time.Sleep(3 * time.Second)
		b.lookup("m").resume(Incident{Monitor: "m", ID: b.Incidents(func() {})[0].ID, Seq: 1, Since: time.Now().Add(time.Hour)}, time.Now())
		b.setProbe(up)
		time.Sleep(3 * time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := b.notifications[len(b.notifications)-1]; n.Event != "recover" || n.Duration < 0 || n.Duration > 3*time.Second {
			t.Errorf("notified %s after %v", n.Event, n.Duration)
		}
	})
}
