package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// persister is a Persister that writes synchronously in Await.
type persister struct {
	mu      sync.Mutex // guards all that follows
	from    *Deliverer
	changes uint64
	written uint64
	disk    []byte
	delay   time.Duration
	awaited int
}

func (k *persister) Changed() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes++
	return k.changes
}

func (k *persister) Await(_ context.Context, change uint64) {
	k.mu.Lock()
	k.awaited++
	delay, done := k.delay, change <= k.written
	k.mu.Unlock()
	if !done {
		time.Sleep(delay)
		k.write()
	}
}

func (k *persister) write() {
	k.mu.Lock()
	change := k.changes
	k.mu.Unlock()
	text := encodePending(k.from)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.disk, k.written = text, max(k.written, change)
}

// read returns what was written.
func (k *persister) read(t *testing.T) (pending []Pending) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.disk == nil {
		return nil
	}
	return decodePending(t, k.disk)
}

// keys returns the keys of notifications, sorted.
func keys(ns []action.Notification) (all []string) {
	for _, n := range ns {
		all = append(all, n.Key())
	}
	slices.Sort(all)
	return all
}

// Every notification is persisted before it is sent.
// Faults: T49.
func TestNothingIsSentBeforeItIsPersisted(t *testing.T) {
	for _, group := range []bool{false, true} {
		t.Run(fmt.Sprint("group ", group), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &persister{delay: 300 * time.Millisecond}
				var last atomic.Int64 // how long the last one waited
				f := newFake(group, func(_ context.Context, n int, ns []action.Notification) error {
					for _, n := range ns {
						if n.Event == action.Init {
							continue
						}
						if pending := k.read(t); len(pending) != 1 || !slices.Contains(keys(pending[0].Notifications), n.Key()) {
							t.Errorf("%s is sent before it is persisted", n.Key())
						} else if group && !slices.Contains(pending[0].Attempted, n.Key()) {
							t.Errorf("%s is sent before its group is persisted", n.Key())
						}
						last.Store(int64(time.Since(n.Time)))
					}
					switch n {
					case 2:
						// It was not delivered: that is persisted too.
						time.AfterFunc(100*time.Millisecond, k.write)
						return &action.Unreachable{Err: errors.New("refused")}
					case 4:
						return errors.New("down")
					}
					return nil
				})
				d, _ := deliver(t, Options{Persister: k})
				k.from = d
				r := d.Add("r", f)
				r.Enqueue(action.Notification{Monitor: "z", Event: action.Init})
				time.Sleep(time.Second)
				if k.awaited != 0 {
					t.Error("an Init waits for the disk")
				}
				r.Enqueue(fail("m", "1"))
				r.Enqueue(fail("n", "2"))
				time.Sleep(time.Minute)
				if late := time.Duration(last.Load()); late < k.delay || late > 12*time.Second {
					t.Errorf("delivered after %v", late)
				}
				r.Enqueue(recovery("m", "1"))
				time.Sleep(time.Minute)
				if delivered, _ := f.taken(); len(delivered) != 4 {
					t.Errorf("delivered %q", formatAll(delivered))
				}
				k.mu.Lock()
				if k.changes <= k.written {
					t.Error("a delivery is not counted as a change")
				}
				k.mu.Unlock()
				k.write()
				if pending := k.read(t); len(pending) != 1 || len(pending[0].Notifications)+len(pending[0].Attempted) != 0 || pending[0].Notified["n"] != "2" || len(pending[0].Notified) != 1 {
					t.Errorf("in the end %+v is pending", pending)
				}
			})
		})
	}
}

// The process is killed while it sends a grouped message. The next process sends the
// same group first and nothing else, although more notifications are pending by then.
// Faults: T49.
func TestGroupKeepsItsKeyAfterAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &persister{}
		hang := newFake(true, func(ctx context.Context, n int, _ []action.Notification) error {
			if n == 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		d, _ := deliver(t, Options{Persister: k})
		k.from = d
		r := d.Add("ops", hang)
		r.Enqueue(fail("z", "0"))
		time.Sleep(time.Second)
		for i := range 5 {
			r.Enqueue(fail(fmt.Sprint("m", 9-i), fmt.Sprint(i+1)))
		}
		reminder := fail("z", "0")
		reminder.Event = action.Repeat
		r.Enqueue(reminder)
		time.Sleep(15 * time.Second) // the group is in flight
		r.Enqueue(fail("a", "6"))
		r.Enqueue(recovery("m9", "1"))
		r.Enqueue(recovery("z", "0"))
		k.write()
		pending := k.read(t) // and now the process is killed

		g := newFake(true, nil)
		d, _ = deliver(t, Options{})
		d.Restore(pending)
		d.Add("ops", g).Enqueue(fail("b", "7"))
		time.Sleep(time.Minute)
		_, calls := g.taken()
		_, hangs := hang.taken()
		if len(hangs) < 2 || len(calls) != 2 {
			t.Fatalf("%d attempts before and %d after the kill", len(hangs), len(calls))
		}
		// A mail's Message-ID is made of these keys.
		if before, after := keys(hangs[1].notifications), keys(calls[0].notifications); !slices.Equal(before, after) {
			t.Errorf("sent %q, and after the kill %q", before, after)
		}
		if got := strings.Join(keys(calls[1].notifications), " "); got != "0-recover 1-recover 6-fail 7-fail" {
			t.Errorf("then delivered %q", got)
		}
	})
}

// A real SMTP server gets the whole mail and never answers. The retry sends the same
// mail; later failures go into another one.
// Faults: T43.
func TestRetryAfterDataSendsTheSameMail(t *testing.T) {
	s := testkit.NewBadSMTPServer(t, ".", "hang")
	a := actionWithDeadline{makeAction(t, "mail", testkit.MailKeys(s.Addr, "to = [\"a@example.org\"]\nfail_to = [\"b@example.org\"]")), 200 * time.Millisecond}
	d, _ := deliver(t, Options{MinBackoff: 50 * time.Millisecond, MaxBackoff: 60 * time.Millisecond, Window: 300 * time.Millisecond})
	r := d.Add("mail", a)
	for i := range 3 {
		r.Enqueue(fail(fmt.Sprint("m", i), fmt.Sprint("INC", i)))
	}
	testkit.Until(t, func() bool { return len(s.Received()) >= 2 })
	for i := range 3 {
		r.Enqueue(recovery(fmt.Sprint("m", i), fmt.Sprint("INC", i)))
	}
	testkit.Until(t, func() bool { return len(s.Received()) >= 4 })
	s.Heal()
	testkit.Until(t, func() bool { return r.Status().Delivered == 6 })
	texts := map[string]string{}
	for _, m := range s.Received() {
		_, id, _ := strings.Cut(m, "Message-ID: ")
		id, _, _ = strings.Cut(id, "\r\n")
		if before, ok := texts[id]; ok && before != m {
			t.Errorf("two mails of the id %s differ:\n%s\n%s", id, before, m)
		}
		texts[id] = m
	}
	// The first notification may be alone in its mail. Each of the two groups of
	// recipients gets the same.
	if len(texts) > 4 {
		t.Errorf("%d different mails", len(texts))
	}
	if s := r.Status(); s.Superseded+s.Suppressed+s.Refused+s.Dropped != 0 {
		t.Errorf("got %+v", s)
	}
}

// A stop while a frozen group fails makes one attempt and returns, with more
// notifications pending behind the group.
// Faults: G14.
func TestStopBehindAFrozenGroupEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(true, failUntil(time.Hour))
		d, stop := deliver(t, Options{})
		r := d.Add("r", f)
		r.Enqueue(fail("m", "1"))
		time.Sleep(time.Minute)
		r.Enqueue(fail("n", "2"))
		r.Enqueue(recovery("m", "1"))
		_, before := f.taken()
		took, err := stop()
		if _, after := f.taken(); took > 0 || err != nil || len(after) != len(before)+1 {
			t.Errorf("stopping took %v, %v, with %d attempts", took, err, len(after)-len(before))
		}
		if pending := d.Pending(); len(pending) != 1 || len(pending[0].Notifications) != 3 || !slices.Equal(pending[0].Attempted, []string{"1-fail"}) {
			t.Errorf("pending %+v", pending)
		}
	})
}

// A group that may have been delivered stays frozen when a retry finds the receiver
// unreachable.
// Faults: T43.
func TestFrozenGroupStaysFrozenAfterAMissedRetry(t *testing.T) {
	b := newQueue(10, 10)
	b.add(parseAll("m", "fail:1")[0], time.Now(), 0)
	for i, o := range []outcome{outcomeUnreachable, outcomeFailed, outcomeUnreachable, outcomeFailed, outcomeDelivered} {
		b.add(action.Notification{Monitor: "n", Event: action.Fail, Incident: fmt.Sprint(i)}, time.Now(), 0)
		b.add(action.Notification{Monitor: "n", Event: action.Recover, Incident: fmt.Sprint(i)}, time.Now(), 0)
		ts := b.take(10, true, time.Time{})
		want := "0-fail 0-recover 1-fail"
		if i > 0 { // the first was not delivered, so the group is rebuilt
			want = "0-fail 0-recover 1-fail 1-fail 1-recover"
		}
		if got := strings.Join(inFlightKeys(ts), " "); got != want {
			t.Errorf("attempt %d sends %q, want %q", i+1, got, want)
		}
		for _, th := range ts {
			b.settle(th, o)
		}
	}
	checkQueue(t, b)
}

// What is pending at a receiver that was not added yet is retained for a day.
func TestNotificationsOfAnAbsentReceiverAreRetainedForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := deliver(t, Options{})
		absent := d.Restore([]Pending{
			{Receiver: "late", Notifications: []action.Notification{fail("m", "1")}, Notified: map[string]string{"n": "2"}},
			{Receiver: "never", Notifications: []action.Notification{fail("m", "1")}},
		})
		if len(absent) != 2 {
			t.Errorf("absent are %+v", absent)
		}
		time.Sleep(23 * time.Hour)
		f := newFake(false, nil)
		r := d.Add("late", f)
		r.Enqueue(recovery("n", "2"))
		time.Sleep(time.Minute)
		delivered, _ := f.taken()
		if got := strings.Join(keys(delivered), " "); got != "1-fail 2-recover" {
			t.Errorf("delivered %q", got)
		}
		if pending := d.Pending(); len(pending) != 2 || pending[1].Receiver != "never" || len(pending[1].Notifications) != 1 {
			t.Errorf("pending %+v", pending)
		}
		time.Sleep(2 * time.Hour)
		if pending := d.Pending(); len(pending) != 1 || pending[0].Receiver != "late" {
			t.Errorf("after a day %+v is pending", pending)
		}
	})
}

// Adding a receiver with restored notifications counts as a change, so that a
// snapshot made meanwhile is replaced.
// Faults: T49.
func TestAddedReceiverCountsAsAChange(t *testing.T) {
	k := &persister{}
	d := NewDeliverer(Options{Persister: k})
	k.from = d
	d.Restore([]Pending{{Receiver: "late", Notifications: []action.Notification{fail("m", "1")}}})
	before := k.Changed()
	d.Add("late", newFake(false, nil))
	if pending := d.Pending(); len(pending) != 1 || len(pending[0].Notifications) != 1 || !pending[0].Absent.IsZero() {
		t.Errorf("pending %+v", pending)
	}
	if k.Changed() == before+1 {
		t.Error("it is not counted as a change")
	}
}
