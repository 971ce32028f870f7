package delivery

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
)

func TestLatencyIsFromTheChangeToTheDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(false, func(_ context.Context, n int, _ []action.Notification) error {
			time.Sleep(20 * time.Millisecond)
			return []error{nil, errors.New("500"), &action.Unreachable{Err: errors.New("no route")}, nil, &action.Permanent{Err: errors.New("404")}}[n-1]
		})
		d, _ := deliver(t, Options{})
		r := d.Add("ops", f)
		r.Enqueue(action.Notification{Monitor: "m", Event: action.Init, Time: time.Now()})
		time.Sleep(time.Minute)
		r.Enqueue(fail("m", "first"))
		time.Sleep(10 * time.Minute)
		r.Enqueue(fail("n", "second"))
		time.Sleep(time.Minute)
		s := d.Status()[0]
		if want := (Outcomes{Delivered: 2, Refused: 1, Failed: 1, Unreachable: 1}); s.Outcomes != want {
			t.Errorf("got outcomes %+v, want %+v", s.Outcomes, want)
		}
		total := uint64(0)
		for i, n := range s.Latency.Counts {
			total += n
			e := s.Latency.Newest[i]
			if (n > 0) != (e.Incident == "first" && e.Took == s.Latency.Sum && !e.At.IsZero()) {
				t.Errorf("bucket %d has %d and %+v", i, n, e)
			}
		}
		// The first two attempts fail; the third one comes after two backoffs.
		if took := s.Latency.Sum; total != 1 || took < 3*time.Second || took > 10*time.Second {
			t.Errorf("%d notifications took %v, want one", total, took)
		}
	})
}
