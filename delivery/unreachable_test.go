package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// A receiver is unreachable for up to a day: connections are refused, or hang for the
// whole deadline of an attempt. Whenever it returns, it is notified within a minute,
// once.
// Faults: T43.
func TestReturningReceiverIsNotifiedWithinAMinute(t *testing.T) {
	for name, hang := range map[string]time.Duration{"refused": 0, "times out": action.DefaultTimeout} {
		for _, group := range []bool{false, true} {
			for _, outage := range []time.Duration{20 * time.Second, 5 * time.Minute, time.Hour, time.Hour + 17*time.Second, 23 * time.Hour} {
				t.Run(fmt.Sprint(name, ", group ", group, ", ", outage), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { outageOf(t, outage, hang, group) })
				})
			}
		}
	}
}

func outageOf(t *testing.T, outage, hang time.Duration, group bool) {
	begin := time.Now()
	f := newFake(group, func(context.Context, int, []action.Notification) error {
		if time.Since(begin) >= outage {
			return nil
		}
		time.Sleep(hang)
		return &action.Unreachable{Err: errors.New("connection refused")}
	})
	d, _ := deliver(t, Options{})
	r := d.Add("r", f)
	const open = 5
	for i := range open {
		r.Enqueue(fail(fmt.Sprint("m", i), fmt.Sprint(i)))
	}
	time.Sleep(outage + time.Minute - time.Since(begin))
	delivered, calls := f.taken()
	if len(delivered) != open {
		t.Errorf("delivered %q a minute after the receiver came back, want all %d failures once", formatAll(delivered), open)
	}
	least := time.Duration(0)
	for i := 1; i < len(calls) && calls[i-1].err != nil; i++ {
		wait := calls[i].at - calls[i-1].at
		if i > 15 { // the first ten may begin at once, and then it is doubled
			least = 30 * time.Second
		}
		if wait > 45*time.Second+hang/30 || wait < least {
			t.Errorf("attempt %d began %v after the one before, want %v to 45s", i+1, wait, least)
		}
	}
}

// A receiver that answers with errors is not asked as often as an unreachable one.
// Faults: T45.
func TestReceiversThatAnswerKeepTheLongBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(false, failUntil(3*time.Hour))
		d, _ := deliver(t, Options{})
		d.Add("r", f).Enqueue(fail("m", "1"))
		time.Sleep(4 * time.Hour)
		calls := checkRetried(t, f)
		different := map[time.Duration]bool{}
		for i := 10; i < len(calls); i++ {
			different[calls[i].at-calls[i-1].at] = true
		}
		if len(different) < 10 {
			t.Errorf("waits of %v: there is no jitter", different)
		}
	})
}

// fastRetries are options for outages of seconds.
var fastRetries = Options{MinBackoff: 20 * time.Millisecond, MaxBackoff: 50 * time.Millisecond, Window: 50 * time.Millisecond}

// A mail server is down, or asks to retry later at some stage, while several monitors
// fail. Once it works, each failure is in one mail.
// Faults: T43.
func TestReturningMailServerGetsEachIncidentOnce(t *testing.T) {
	for _, stage := range append([]string{"connect"}, testkit.SMTPStages...) {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			s := testkit.NewBadSMTPServer(t, stage, "451 later", "AUTH PLAIN")
			addr, heal := s.Addr, s.Heal
			if stage == "connect" {
				closed, listen := testkit.RefusingAddress(t)
				addr = closed
				heal = func() { testkit.ServeListener(t, listen(), s.Serve) }
			}
			a := makeAction(t, "mail", testkit.MailKeys(addr, "to = [\"a@example.org\"]\nuser = \"user\"\npassword = \"p\""))
			d, _ := deliver(t, fastRetries)
			r := d.Add("mail", a)
			const open = 3
			for i := range open {
				r.Enqueue(fail(fmt.Sprint("m", i), fmt.Sprint("INC", i)))
			}
			testkit.Until(t, func() bool { return r.Status().Failures >= 3 })
			early := len(s.Received())
			heal()
			testkit.Until(t, func() bool { return r.Status().Delivered == open })
			count := map[string]int{}
			for _, m := range s.Received()[early:] {
				for i := range open {
					if id := fmt.Sprint("INC", i); strings.Contains(m, id) {
						count[id]++
					}
				}
			}
			// A mail that the server refused after DATA was not delivered.
			if len(count) != open || slices.Max(values(count)) != 1 {
				t.Errorf("once the server works the failures are delivered %v times, want once each", count)
			}
		})
	}
}

func values(m map[string]int) (vs []int) {
	for _, v := range m {
		vs = append(vs, v)
	}
	return vs
}

// The server refuses the session by 554. Everything is delivered once it does not.
// Faults: C14.
func TestRefusedSessionLosesNoNotification(t *testing.T) {
	for _, stage := range []string{"banner", "AUTH"} {
		s := testkit.NewBadSMTPServer(t, stage, "554 no", "AUTH PLAIN")
		d, _ := deliver(t, fastRetries)
		r := d.Add("mail", makeAction(t, "mail", testkit.MailKeys(s.Addr, "to = [\"a@example.org\"]\nuser = \"user\"\npassword = \"p\"")))
		r.Enqueue(sampleFail)
		testkit.Until(t, func() bool { return r.Status().Failures >= 3 })
		if st := r.Status(); st.OK || !strings.Contains(st.LastError, "the server refused the session") {
			t.Errorf("%s: got %+v", stage, st)
		}
		s.Heal()
		testkit.Until(t, func() bool { return r.Status().Delivered == 1 })
	}
}

// The server answers 554 to a mail, at each stage.
// Faults: T43, C14.
func TestPermanentRefusalIsCountedAndNotRetried(t *testing.T) {
	for _, stage := range []string{"MAIL", "RCPT", "DATA", "."} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			s := testkit.NewBadSMTPServer(t, stage, "554 no", "AUTH PLAIN")
			a := makeAction(t, "mail", testkit.MailKeys(s.Addr, "to = [\"a@example.org\"]\nuser = \"user\"\npassword = \"p\""))
			d, _ := deliver(t, fastRetries)
			r := d.Add("mail", a)
			r.Enqueue(sampleFail)
			testkit.Until(t, func() bool { return r.Status().Refused == 1 })
			if st := r.Status(); st.OK || !strings.Contains(st.LastError, "the server refused the mail") {
				t.Errorf("got %+v", st)
			}
			s.Heal()
			other := sampleFail
			other.Monitor, other.Incident = "other", "02DEF"
			r.Enqueue(other)
			testkit.Until(t, func() bool { return r.Status().Delivered == 1 })
			mails := s.Received()
			if st := r.Status(); st.Attempts != 2 || st.Retried != 0 || strings.Contains(mails[len(mails)-1], "01ABC") {
				t.Errorf("got %+v, and last\n%s", st, mails[len(mails)-1])
			}
		})
	}
}

// An attacker removes STARTTLS from the offer: nothing is sent unencrypted, and
// everything once it is offered again.
// Faults: T43.
func TestStrippedSTARTTLSSendsNothingInClearText(t *testing.T) {
	s := testkit.NewBadSMTPServer(t, "", "", "AUTH PLAIN")
	const keys = "to = [\"a@example.org\"]\ntls = \"starttls\"\nuser = \"user\"\npassword = \"s3cret-password\"\n"
	d, _ := deliver(t, fastRetries)
	r := d.Add("mail", makeAction(t, "mail", testkit.MailKeys(s.Addr, keys)))
	r.Enqueue(sampleFail)
	testkit.Until(t, func() bool { return r.Status().Retried >= 3 })
	s.Mu.Lock()
	if len(s.Mails) != 0 || len(s.Logins) != 0 {
		t.Errorf("in the clear %q was sent, and %q", s.Logins, s.Mails)
	}
	s.Mu.Unlock()
	box := testkit.NewMailbox(t, "starttls")
	d.Add("mail", makeAction(t, "mail", testkit.MailKeys(box.Addr, keys+fmt.Sprintf("ca_file = %q", box.CAFile))))
	testkit.Until(t, func() bool { return r.Status().Delivered == 1 })
	if mails := box.Received(); len(mails) != 1 || !mails[0].TLS {
		t.Errorf("got %+v", mails)
	}
}

// A receiver is down for hours while a few monitors flap: the queue stays bounded,
// drops are counted, and in the end the newest state of each is delivered, and no
// recovery without its failure.
// Faults: T45.
func TestReceiverQueueIsBounded(t *testing.T) {
	testkit.SkipIfShort(t)
	for _, group := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f, r := receiving(t, group, unreachableUntil(10*time.Hour))
			const monitors, flaps = 3, 1000
			for i := range flaps {
				for m := range monitors {
					name, id := fmt.Sprint("m", m), fmt.Sprint(m, "-", i)
					r.Enqueue(fail(name, id))
					if i < flaps-1 || m == 0 {
						r.Enqueue(recovery(name, id))
					}
				}
				// The newest incident of each waits besides, and what is being delivered.
				if s := r.Status(); s.Pending > 1000+2*monitors+2*monitors {
					t.Fatalf("%d wait", s.Pending)
				}
				time.Sleep(time.Second)
			}
			time.Sleep(12 * time.Hour)
			delivered, _ := f.taken()
			of := map[string][]action.Notification{}
			for _, n := range delivered {
				of[n.Monitor] = append(of[n.Monitor], n)
			}
			for m := range monitors {
				received := of[fmt.Sprint("m", m)]
				checkOrder(t, received)
				want := fmt.Sprintf("fail:%d-%d", m, flaps-1)
				if m == 0 {
					want = fmt.Sprintf("recover:%d-%d", m, flaps-1)
				}
				if got := lastEvent(received); got != want {
					t.Errorf("group %v: the last notification of m%d is %s, want %s", group, m, got, want)
				}
			}
			s := r.Status()
			if s.Pending != 0 || s.Dropped == 0 || s.Dropped+s.Delivered != 2*flaps*monitors-2 || s.Delivered > 1000+4*monitors {
				t.Errorf("group %v: got %+v", group, s)
			}
		})
	}
}

// A receiver that groups fails in every way: it gets all notifications once, in
// messages at least 10 s apart.
// Faults: T47.
func TestGroupsAreSpacedThroughFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(true, func(ctx context.Context, n int, _ []action.Notification) error {
			switch n % 5 {
			case 1:
				return errors.New("451 later")
			case 2:
				return &action.Unreachable{Err: errors.New("refused")}
			case 3:
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		})
		d, _ := deliver(t, Options{})
		r := d.Add("ops", f)
		const n = 2000
		for i := range n {
			r.Enqueue(fail(fmt.Sprint("m", i), fmt.Sprint(i)))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(10 * time.Minute)
		delivered, calls := f.taken()
		if len(delivered) != n || f.most != 1 {
			t.Errorf("delivered %d, %d messages at a time, want %d, 1", len(delivered), f.most, n)
		}
		var at []time.Duration
		for i, c := range calls {
			if c.err == nil {
				at = append(at, c.at)
			}
			if i > 0 && calls[i-1].err != nil && !errors.As(calls[i-1].err, new(*action.Unreachable)) && !slices.Equal(keys(calls[i-1].notifications), keys(c.notifications)) {
				t.Errorf("attempt %d may have been delivered, and the next sends something else", i)
			}
		}
		checkSpacing(t, at, 10*time.Second)
	})
}

// After a retry, each message of failures is sent 10 s after the one before.
// Faults: T47.
func TestQuietGroupsAreSpacedAfterARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(true, func(_ context.Context, n int, _ []action.Notification) error {
			if n == 1 {
				return errors.New("451 later")
			}
			return nil
		})
		d, _ := deliver(t, Options{})
		r := d.Add("ops", f)
		r.Enqueue(fail("a", "1"))
		time.Sleep(500 * time.Millisecond)
		r.Enqueue(fail("b", "2"))
		time.Sleep(5 * time.Second)
		r.Enqueue(action.Notification{Monitor: "c", Event: action.Init, Time: time.Now()})
		time.Sleep(8 * time.Second)
		r.Enqueue(fail("d", "4"))
		time.Sleep(time.Minute)
		_, calls := f.taken()
		var delivered []string
		for _, c := range calls {
			delivered = append(delivered, formatAll(c.notifications))
		}
		if got := strings.Join(delivered, ", "); got != "fail:1, fail:1, fail:2 init:, fail:4" {
			t.Fatalf("delivered %s", got)
		}
		for i := 2; i < len(calls); i++ {
			if wait := calls[i].at - calls[i-1].at; wait != 10*time.Second {
				t.Errorf("message %d comes %v after the one before", i, wait)
			}
		}
	})
}
