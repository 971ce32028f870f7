package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// kindedFake is a fake that knows its kind.
type kindedFake struct{ *fake }

func (kindedFake) Kind() string { return "mail" }

// Faults: U5.
func TestStatusOfAReceiverSaysWhatAndSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		added := time.Now()
		var answer atomic.Pointer[error]
		f := newFake(false, func(context.Context, int, []action.Notification) error { return *answer.Load() })
		answers := func(err error) { answer.Store(&err) }
		d, _ := deliver(t, Options{})
		r := d.Add("ops", kindedFake{f})
		want := func(when string, ok bool, since time.Time, pending int, next bool, lastError string) {
			t.Helper()
			synctest.Wait()
			s := d.Status()[0]
			if s.Name != "ops" || s.Kind != "mail" || s.OK != ok || !s.Since.Equal(since) || s.Pending != pending || s.Next.IsZero() == next || s.LastError != lastError {
				t.Errorf("%s: got %+v", when, s)
			}
		}
		want("at first", true, added, 0, false, "")
		time.Sleep(time.Minute)
		answers(errors.New("no\nroute \x1b[31m"))
		failed := time.Now()
		r.Enqueue(fail("m", "1"))
		want("after a failed attempt", false, failed, 1, true, "no route [31m")
		time.Sleep(30 * time.Second)
		want("after more failed attempts", false, failed, 1, true, "no route [31m")
		answers(nil)
		time.Sleep(time.Hour)
		if s := d.Status()[0]; !s.OK || !s.Since.After(failed.Add(30*time.Second)) || s.Pending != 0 || !s.Next.IsZero() {
			t.Errorf("after a delivery: got %+v", s)
		}
		answers(&action.Permanent{Err: errors.New("404")})
		refused := time.Now()
		r.Enqueue(fail("m", "2"))
		want("after a refusal", false, refused, 0, false, "404")
	})
}

// Faults: U5.
func TestLogOfAnAttemptNamesMonitorIncidentAndNextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		f := newFake(true, func(_ context.Context, n int, _ []action.Notification) error {
			switch n {
			case 1:
				return errors.New("down")
			case 2, 3:
				return nil
			}
			return &action.Permanent{Err: errors.New("404")}
		})
		d, _ := deliver(t, Options{Log: testkit.InfoTo(&log)})
		r := d.Add("ops", kindedFake{f})
		next := time.Now().Add(time.Second).UTC().Format(time.RFC3339)
		r.Enqueue(fail("db\nforged", "1"))
		time.Sleep(time.Minute)
		r.Enqueue(fail("first", "0"))
		time.Sleep(time.Second) // the others are one message
		for i := range 7 {
			r.Enqueue(fail(fmt.Sprint("m", i), fmt.Sprint("i", i)))
		}
		time.Sleep(time.Minute)
		for i := range 6 {
			r.Enqueue(action.Notification{Monitor: fmt.Sprint("s", i), Event: action.Init})
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, want := range []string{
			`level=WARN msg="notification failed, retrying" receiver=ops kind=mail notifications=1 monitor="db forged" incident=1 attempt=1 next_attempt=` + next + ` error=down`,
			`level=INFO msg="notifications are delivered again" receiver=ops kind=mail notifications=1 monitor="db forged" incident=1 failures=1`,
			`level=ERROR msg="notification refused, not retrying" receiver=ops kind=mail notifications=7 monitor="m0, m1, m2, m3, m4 and 2 more" incident="i0, i1, i2, i3, i4 and 2 more" attempt=1 error=404`,
			`notifications=6 monitor="s0, s1, s2, s3, s4 and 1 more" incident="" attempt=1 error=404`,
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%s is missing in\n%s", want, &log)
			}
		}
	})
}

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
