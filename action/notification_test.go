package action

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Faults: G45.
func TestNoticeSurvivesJSONWithTimesInUTC(t *testing.T) {
	for _, n := range []Notification{testInit, testFail, testRecover, testRepeat, {}} {
		n.Labels = map[string]string{"team": "infra"}
		b, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "+09:00") {
			t.Errorf("a time is not in UTC: %s", b)
		}
		var got Notification
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(n, got, cmpopts.EquateApproxTime(0)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestNoticeWithoutNumberIsStillJSON(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		n := testFail
		n.Value = v
		b, err := json.Marshal([]Notification{n, testFail})
		if err != nil {
			t.Fatal(err)
		}
		var got []Notification
		if err := json.Unmarshal(b, &got); err != nil || !math.IsNaN(got[0].Value) || got[1].Value != 1.5 {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

func TestKeyNamesATransition(t *testing.T) {
	again := testRepeat
	again.Seq++
	later := testInit
	later.Time = later.Time.Add(time.Nanosecond)
	seen := map[string]bool{}
	for _, n := range []Notification{testInit, later, testFail, testRecover, testRepeat, again} {
		key := n.Key()
		if seen[key] || key != n.Key() {
			t.Errorf("key %q is not of one notification only", key)
		}
		seen[key] = true
		n.Error, n.Version, n.Host = "other", "other", "other"
		if n.Key() != key {
			t.Errorf("key %q depends on more than the transition", key)
		}
	}
}
