package delivery

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
)

// BenchmarkEnqueue measures Enqueue on a receiver that is down, so that nothing but
// the queue is measured.
func BenchmarkEnqueue(b *testing.B) {
	d := NewDeliverer(Options{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	r := d.Add("r", newFake(true, failUntil(time.Hour)))
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprint("monitor-", i)
	}
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = fmt.Sprint("incident-", i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		n := action.Notification{Monitor: names[i%len(names)], Event: action.Fail, Incident: ids[i/len(names)/2%len(ids)], Seq: int64(i)}
		if i/len(names)%2 == 1 {
			n.Event = action.Recover
		}
		r.Enqueue(n)
		i++
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkEnqueueToAttempt measures the time from Enqueue to the call of the action.
// The goal is at most 50 ms.
func BenchmarkEnqueueToAttempt(b *testing.B) {
	started := make(chan time.Time)
	d := NewDeliverer(Options{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	r := d.Add("r", newFake(false, func(context.Context, int, []action.Notification) error { started <- time.Now(); return nil }))
	var sum, worst time.Duration
	i := 0
	for b.Loop() {
		n := fail(fmt.Sprint("m", i%100), fmt.Sprint(i/100))
		begin := time.Now()
		r.Enqueue(n)
		took := (<-started).Sub(begin)
		sum += took
		worst = max(worst, took)
		i++
	}
	b.ReportMetric(float64(sum.Nanoseconds())/float64(b.N), "ns/start")
	b.ReportMetric(float64(worst.Nanoseconds()), "ns/worst")
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkHandOver measures the lower bound of that: waking a goroutine.
func BenchmarkHandOver(b *testing.B) {
	verdicts, started := make(chan int), make(chan time.Time)
	go func() {
		for range verdicts {
			started <- time.Now()
		}
	}()
	defer close(verdicts)
	var worst time.Duration
	for b.Loop() {
		begin := time.Now()
		verdicts <- 1
		worst = max(worst, (<-started).Sub(begin))
	}
	b.ReportMetric(float64(worst.Nanoseconds()), "ns/worst")
}

// failing returns the snapshot while n monitors fail and no notification was
// delivered.
func failing(n int) Snapshot {
	k := Snapshot{Pending: []Pending{{Receiver: "ops"}}}
	at := time.Now().UTC().Round(0)
	for i := range n {
		m, id := fmt.Sprint("monitor-", i), fmt.Sprintf("%026d", i)
		k.Incidents = append(k.Incidents, Incident{Monitor: m, ID: id, Since: at, Failures: 1, Seq: 1})
		k.Pending[0].Notifications = append(k.Pending[0].Notifications, action.Notification{
			Monitor: m, Host: "host", Event: action.Fail, Incident: id, Seq: 1, Since: at, Time: at, Version: "1.0",
			Error: "dial tcp 10.0.0.1:80: connect: connection refused", Failures: 1,
		})
	}
	return k
}

// BenchmarkLedgerWrite writes a notification and a delivery while monitors that failed
// together are pending, to the disk of temporary files.
func BenchmarkLedgerWrite(b *testing.B) {
	for _, n := range []int{1, 100, 2000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			j, err := openRecords(b, state.OSDisk{}, b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			l, _ := OpenLedger(j, testkit.QuietLog())
			k := failing(n + 1)
			less := Snapshot{Incidents: k.Incidents[:n], Pending: []Pending{{Receiver: "ops", Notifications: k.Pending[0].Notifications[:n]}}}
			b.ReportAllocs()
			for b.Loop() {
				for _, k := range []Snapshot{k, less} {
					if _, err := l.write(func() Snapshot { return k }, false); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkLedgerChanges finds those changes only.
func BenchmarkLedgerChanges(b *testing.B) {
	k := failing(2000)
	_, then, err := (&ledgerRecords{}).changes(k, false)
	b.ReportAllocs()
	for b.Loop() && err == nil {
		_, then, err = then.changes(k, false)
	}
	if err != nil {
		b.Fatal(err)
	}
}
