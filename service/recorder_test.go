package service

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

func TestResultsAreFieldsOfAHealthCheck(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\u00e4", health.MaxText)
	for _, c := range []struct {
		res     monitor.Result
		results map[string]string
		error   string
	}{
		{
			monitor.Result{State: monitor.OK, Value: 0.25, Took: 1234567 * time.Nanosecond},
			map[string]string{"state": "OK", "took": "1.235ms", "value": "0.25"}, "",
		},
		{
			monitor.Result{
				State: monitor.Failing, Value: 97.3, Violation: "value 97.3 is above max 90", Detail: "a\xffb",
				Phases: []probe.Phase{{Name: "resolve", Duration: time.Millisecond}, {Name: "connect", Duration: 2 * time.Second}},
			},
			map[string]string{"state": "FAILING", "took": "0s", "value": "97.3", "detail": "a\ufffdb", "resolve": "1ms", "connect": "2s"},
			"value 97.3 is above max 90",
		},
		{
			monitor.Result{State: monitor.Failing, Value: 1, Err: errors.New(long), Violation: "not told beside an error"},
			map[string]string{"state": "FAILING", "took": "0s"}, clip(long),
		},
	} {
		var hc healthpb.HealthCheck
		if err := proto.Unmarshal(checkBody(c.res), &hc); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(hc.Results, c.results) || hc.Error != c.error || len(hc.Error) > health.MaxText || len(hc.ProtoReflect().GetUnknown()) != 0 {
			t.Errorf("%+v is recorded as %v, %.80q; want %v, %.80q", c.res, hc.Results, hc.Error, c.results, c.error)
		}
	}
}

// recording returns a recorder and the store it records into.
func recording() (recorder, *store.Store) {
	s := store.New(store.Config{})
	return recorder{store: s, service: "monitor", version: "1.2.3", node: "node"}, s
}

// TestSilentMonitorIsMissingAfterTenIntervals lets monitors of several intervals
// fall silent: whoever judges them later than that learns of a hung monitor late,
// and sooner than that a busy process cries wolf.
func TestSilentMonitorIsMissingAfterTenIntervals(t *testing.T) {
	t.Parallel()
	for interval, whole := range map[time.Duration]time.Duration{
		time.Second:             time.Second,
		1500 * time.Millisecond: 2 * time.Second, // an event tells whole seconds
		30 * time.Second:        30 * time.Second,
		time.Hour:               time.Hour,
	} {
		t.Run(interval.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, s := recording()
				missing := func() bool {
					t.Helper()
					cs, err := s.Checks(store.Query{ID: "monitor.db", Missing: true})
					if err != nil || len(cs.Items) != 1 {
						t.Fatalf("%+v, %v; want the check", cs, err)
					}
					if c := cs.Items[0]; c.Interval != whole || c.TTL != 10*whole {
						t.Errorf("interval %v, ttl %v, want %v and ten of it", c.Interval, c.TTL, whole)
					}
					return cs.Items[0].Missing
				}
				r.Record(monitor.Result{Name: "db", State: monitor.OK, Interval: interval})
				time.Sleep(10*whole - time.Second)
				if missing() {
					t.Error("it is missing before ten intervals are over")
				}
				time.Sleep(2 * time.Second)
				if !missing() {
					t.Error("it is not missing although it was silent for ten intervals")
				}
			})
		})
	}
}

func TestStateOfAMonitorIsTheStatusOfItsCheck(t *testing.T) {
	t.Parallel()
	r, s := recording()
	for state, want := range map[monitor.State]healthpb.HealthCheck_Status{
		monitor.OK:      healthpb.HealthCheck_OK,
		monitor.Warning: healthpb.HealthCheck_WARNING,
		monitor.Failing: healthpb.HealthCheck_ERROR,
		monitor.Unknown: healthpb.HealthCheck_UNKNOWN,
	} {
		r.Record(monitor.Result{Name: "db", State: state, Interval: time.Minute})
		cs, err := s.Checks(store.Query{})
		if err != nil || len(cs.Items) != 1 {
			t.Fatalf("%v: %+v, %v; want one check", state, cs, err)
		}
		c := cs.Items[0]
		if c.Status != want || c.Source != healthpb.HealthCheck_MONITOR || c.ID != "monitor.db" || c.Description != "monitor db" ||
			c.Service != "monitor" || c.Version != "1.2.3" || c.Node != "node" {
			t.Errorf("%v is recorded as %+v, want the status %v", state, c, want)
		}
	}
}

func TestStoppedMonitorIsForgotten(t *testing.T) {
	t.Parallel()
	r, s := recording()
	for _, name := range []string{"db", "web"} {
		r.Record(monitor.Result{Name: name, State: monitor.Failing, Interval: time.Minute})
	}
	r.Record(monitor.Result{Name: "db", State: monitor.Stopped})
	cs, err := s.Checks(store.Query{Missing: true})
	if err != nil || len(cs.Items) != 1 || cs.Items[0].ID != "monitor.web" {
		t.Errorf("%+v, %v; want the other monitor only", cs, err)
	}
}

func TestTextFromElsewhereIsCutToWhatAnAnswerHolds(t *testing.T) {
	t.Parallel()
	fits := strings.Repeat("x", health.MaxText)
	for text, want := range map[string]string{
		"":                            "",
		fits:                          fits,
		fits + "x":                    fits[:health.MaxText-len(health.CutMark)] + health.CutMark,
		"a\xff\xfeb":                  "a\ufffdb",
		fits[1:] + "\u00e4":           fits[:health.MaxText-len(health.CutMark)] + health.CutMark,
		strings.Repeat("\u20ac", 9e3): strings.Repeat("\u20ac", (health.MaxText-len(health.CutMark))/3) + health.CutMark,
	} {
		if got := clip(text); got != want {
			t.Errorf("%.20q of %d bytes becomes %.20q of %d bytes, want %d", text, len(text), got, len(got), len(want))
		}
	}
}
