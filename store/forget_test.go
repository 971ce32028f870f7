package store

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func TestForgetDropsWhatIsLiveAndWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		ev := &Event{
			Kind: KindCheck, Service: []byte("s"), Version: []byte("1"), Node: []byte("n"), ID: []byte("c"),
			Status: int32(healthpb.HealthCheck_OK), Interval: 1, TTL: 10,
		}
		for _, silent := range []time.Duration{0, 5 * time.Second, time.Minute} {
			if got := s.Put(ev); got != Accepted {
				t.Fatalf("after %v: %v", silent, got)
			}
			time.Sleep(silent)
			if !s.Forget(ev) || s.Forget(ev) {
				t.Errorf("silent for %v: it is not forgotten exactly once", silent)
			}
			if _, err := s.Checks(Query{Service: "s"}); !errors.Is(err, ErrNotFound) {
				t.Errorf("silent for %v: the service is still known: %v", silent, err)
			}
			ts, _, _, err := s.History(TransitionQuery{}, 0)
			if err != nil || ts[0].To != "FORGOTTEN" || ts[0].Why != "withdrawn" {
				t.Errorf("silent for %v: newest transition %+v, %v", silent, ts[0], err)
			}
			time.Sleep(48 * time.Hour)
			if c := s.Counters(); c.Checks != 0 || c.Nodes != 0 || c.Services != 0 {
				t.Errorf("silent for %v: something stays: %+v", silent, c)
			}
		}
	})
}
