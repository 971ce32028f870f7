package service

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
	healthpb "github.com/microhq/monitor-srv/proto/health"
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
				State: monitor.Failing, Value: 97.3, Wrong: "the value 97.3 is above max, 90", Detail: "a\xffb",
				Phases: []probe.Phase{{Name: "resolve", Duration: time.Millisecond}, {Name: "connect", Duration: 2 * time.Second}},
			},
			map[string]string{"state": "FAILING", "took": "0s", "value": "97.3", "detail": "a\ufffdb", "resolve": "1ms", "connect": "2s"},
			"the value 97.3 is above max, 90",
		},
		{
			monitor.Result{State: monitor.Failing, Value: 1, Err: errors.New(long), Wrong: "not told beside an error"},
			map[string]string{"state": "FAILING", "took": "0s"}, clean(long),
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
