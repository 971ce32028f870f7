package delivery

import (
	"context"
	"encoding/json"
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

// keeper is a Keeper that writes down what a Deliverer owes when it must.
type keeper struct {
	mu      sync.Mutex // guards all that follows
	from    *Deliverer
	changes uint64
	written uint64
	disk    []byte
	delay   time.Duration
	awaited int
}

func (k *keeper) Changed() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes++
	return k.changes
}

func (k *keeper) Await(_ context.Context, change uint64) {
	k.mu.Lock()
	k.awaited++
	delay, done := k.delay, change <= k.written
	k.mu.Unlock()
	if !done {
		time.Sleep(delay)
		k.write()
	}
}

func (k *keeper) write() {
	k.mu.Lock()
	change := k.changes
	k.mu.Unlock()
	text, err := json.Marshal(k.from.Pending())
	if err != nil {
		panic(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.disk, k.written = text, max(k.written, change)
}

// read returns what is on the disk.
func (k *keeper) read(t *testing.T) (owed []Pending) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.disk == nil {
		return nil
	}
	if err := json.Unmarshal(k.disk, &owed); err != nil {
		t.Fatal(err)
	}
	return owed
}

// keys returns the keys of notices, sorted.
func keys(ns []action.Notification) (all []string) {
	for _, n := range ns {
		all = append(all, n.Key())
	}
	slices.Sort(all)
	return all
}

// TestNothingIsSentBeforeItIsWrittenDown looks at the disk whenever something
// is told.
// Faults: T49.
func TestNothingIsSentBeforeItIsWrittenDown(t *testing.T) {
	for _, group := range []bool{false, true} {
		t.Run(fmt.Sprint("group ", group), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &keeper{delay: 300 * time.Millisecond}
				var last atomic.Int64 // how long the last one waited
				f := newFake(group, func(_ context.Context, n int, ns []action.Notification) error {
					for _, n := range ns {
						if n.Event == action.Init {
							continue
						}
						if owed := k.read(t); len(owed) != 1 || !slices.Contains(keys(owed[0].Notifications), n.Key()) {
							t.Errorf("%s is told before it is written down", n.Key())
						} else if group && !slices.Contains(owed[0].Attempted, n.Key()) {
							t.Errorf("%s is told before it is written down with whom", n.Key())
						}
						last.Store(int64(time.Since(n.Time)))
					}
					switch n {
					case 2:
						// Nobody heard it: that is written down too.
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
					t.Error("a start waits for the disk")
				}
				r.Enqueue(fail("m", "1"))
				r.Enqueue(fail("n", "2"))
				time.Sleep(time.Minute)
				if late := time.Duration(last.Load()); late < k.delay || late > 12*time.Second {
					t.Errorf("told after %v", late)
				}
				r.Enqueue(recovery("m", "1"))
				time.Sleep(time.Minute)
				if told, _ := f.taken(); len(told) != 4 {
					t.Errorf("told %q", words(told))
				}
				k.mu.Lock()
				if k.changes <= k.written {
					t.Error("that something was told is no change")
				}
				k.mu.Unlock()
				k.write()
				if owed := k.read(t); len(owed) != 1 || len(owed[0].Notifications)+len(owed[0].Attempted) != 0 || owed[0].Notified["n"] != "2" || len(owed[0].Notified) != 1 {
					t.Errorf("in the end %+v is kept", owed)
				}
			})
		})
	}
}

// TestGroupKeepsItsKeyOverAKill kills the process while a group is being told,
// and also after it was. What the next one tells first is that group and nothing
// else, although the group has other companions by then.
// Faults: T49.
func TestGroupKeepsItsKeyOverAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{}
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
		time.Sleep(15 * time.Second) // the group is under way
		r.Enqueue(fail("a", "6"))
		r.Enqueue(recovery("m9", "1"))
		r.Enqueue(recovery("z", "0"))
		k.write()
		owed := k.read(t) // and now the process is killed

		g := newFake(true, nil)
		d, _ = deliver(t, Options{})
		d.Restore(owed)
		d.Add("ops", g).Enqueue(fail("b", "7"))
		time.Sleep(time.Minute)
		_, calls := g.taken()
		_, hangs := hang.taken()
		if len(hangs) < 2 || len(calls) != 2 {
			t.Fatalf("%d attempts before and %d after the kill", len(hangs), len(calls))
		}
		// A mail's Message-ID is made of these keys.
		if before, after := keys(hangs[1].notices), keys(calls[0].notices); !slices.Equal(before, after) {
			t.Errorf("sent %q, and after the kill %q", before, after)
		}
		if got := strings.Join(keys(calls[1].notices), " "); got != "0-recover 1-recover 6-fail 7-fail" {
			t.Errorf("then told %q", got)
		}
	})
}

// TestRetryAfterDataSendsTheSameMail has a real conversation end in silence after
// the whole mail; what fails meanwhile goes into another one.
// Faults: T43.
func TestRetryAfterDataSendsTheSameMail(t *testing.T) {
	s := testkit.NewBadSMTPServer(t, ".", "hang")
	a := hurried{makeAction(t, "mail", testkit.MailKeys(s.Addr, "to = [\"a@example.org\"]\nfail_to = [\"b@example.org\"]")), 200 * time.Millisecond}
	d, _ := deliver(t, Options{MinBackoff: 50 * time.Millisecond, MaxBackoff: 60 * time.Millisecond, Window: 300 * time.Millisecond})
	r := d.Add("mail", a)
	for i := range 3 {
		r.Enqueue(fail(fmt.Sprint("m", i), fmt.Sprint("INC", i)))
	}
	testkit.Until(t, func() bool { return len(s.Taken()) >= 2 })
	for i := range 3 {
		r.Enqueue(recovery(fmt.Sprint("m", i), fmt.Sprint("INC", i)))
	}
	testkit.Until(t, func() bool { return len(s.Taken()) >= 4 })
	s.Heal()
	testkit.Until(t, func() bool { return r.Status().Delivered == 6 })
	texts := map[string]string{}
	for _, m := range s.Taken() {
		_, id, _ := strings.Cut(m, "Message-ID: ")
		id, _, _ = strings.Cut(id, "\r\n")
		if before, ok := texts[id]; ok && before != m {
			t.Errorf("two mails of the id %s differ:\n%s\n%s", id, before, m)
		}
		texts[id] = m
	}
	// The first notice may be alone in its mail; to each of the two groups of
	// recipients the same is sent.
	if len(texts) > 4 {
		t.Errorf("%d different mails", len(texts))
	}
	if s := r.Status(); s.Superseded+s.Suppressed+s.Refused+s.Dropped != 0 {
		t.Errorf("got %+v", s)
	}
}

// TestStopBehindAFrozenGroupEnds stops while a group that may have been taken
// fails, with more behind it: one attempt is made, and Run returns.
// Faults: G14.
func TestStopBehindAFrozenGroupEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(true, down(time.Hour))
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
		if owed := d.Pending(); len(owed) != 1 || len(owed[0].Notifications) != 3 || !slices.Equal(owed[0].Attempted, []string{"1-fail"}) {
			t.Errorf("owed %+v", owed)
		}
	})
}

// TestFrozenGroupStaysFrozenAfterAMissedRetry reaches nobody with a group that may
// have been taken before: it stays as it is.
// Faults: T43.
func TestFrozenGroupStaysFrozenAfterAMissedRetry(t *testing.T) {
	b := newQueue(10, 10)
	b.add(notices("m", "fail:1")[0], time.Now(), 0)
	for i, o := range []outcome{outcomeUnreachable, outcomeFailed, outcomeUnreachable, outcomeFailed, outcomeDelivered} {
		b.add(action.Notification{Monitor: "n", Event: action.Fail, Incident: fmt.Sprint(i)}, time.Now(), 0)
		b.add(action.Notification{Monitor: "n", Event: action.Recover, Incident: fmt.Sprint(i)}, time.Now(), 0)
		ts := b.take(10, true, time.Time{})
		want := "0-fail 0-recover 1-fail"
		if i > 0 { // after the first, which nobody heard, it is made anew
			want = "0-fail 0-recover 1-fail 1-fail 1-recover"
		}
		if got := strings.Join(inFlightKeys(ts), " "); got != want {
			t.Errorf("attempt %d tells %q, want %q", i+1, got, want)
		}
		for _, th := range ts {
			b.settle(th, o)
		}
	}
	checkBacklog(t, b)
}

// TestOwedToAnAbsentReceiverWaitsForADay restores for a receiver that comes late,
// and for one that never does.
func TestOwedToAnAbsentReceiverWaitsForADay(t *testing.T) {
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
		told, _ := f.taken()
		if got := strings.Join(keys(told), " "); got != "1-fail 2-recover" {
			t.Errorf("told %q", got)
		}
		if owed := d.Pending(); len(owed) != 2 || owed[1].Receiver != "never" || len(owed[1].Notifications) != 1 {
			t.Errorf("owed %+v", owed)
		}
		time.Sleep(2 * time.Hour)
		if owed := d.Pending(); len(owed) != 1 || owed[0].Receiver != "late" {
			t.Errorf("after a day %+v is owed", owed)
		}
	})
}

// TestAddedReceiverCountsAsAChange adds a receiver that something was restored
// for: who looked at what is owed while it was handed over looks again.
// Faults: T49.
func TestAddedReceiverCountsAsAChange(t *testing.T) {
	k := &keeper{}
	d := NewDeliverer(Options{Persister: k})
	k.from = d
	d.Restore([]Pending{{Receiver: "late", Notifications: []action.Notification{fail("m", "1")}}})
	before := k.Changed()
	d.Add("late", newFake(false, nil))
	if owed := d.Pending(); len(owed) != 1 || len(owed[0].Notifications) != 1 || !owed[0].Absent.IsZero() {
		t.Errorf("owed %+v", owed)
	}
	if k.Changed() == before+1 {
		t.Error("it counts as no change")
	}
}
