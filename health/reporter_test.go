//go:build go1.25

package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func loggingTo(w io.Writer) Option { return WithLogger(slog.New(slog.NewTextHandler(w, nil))) }

func TestReporterPublishesStatusStatsAndChecksInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		r := newTestReporter(b, WithInfo("hello"))
		r.Check("go.micro.healthcheck.ping", "answers", func(context.Context) (map[string]string, error) {
			return map[string]string{"foo": "bar"}, nil
		})
		mustStart(t, r)
		time.Sleep(35 * time.Second)
		mustClose(t, r)

		if got, want := b.statuses(), []string{"STARTED", "RUNNING", "RUNNING", "RUNNING", "STOPPED"}; !slices.Equal(got, want) {
			t.Errorf("statuses %q, want %q", got, want)
		}
		_, at := of[*healthpb.Status](b)
		for i, want := range []time.Duration{0, 10 * time.Second, 20 * time.Second, 30 * time.Second, 35 * time.Second} {
			if late := at[i] - want; late < 0 || late > 50*time.Millisecond {
				t.Errorf("status %d left at %v, want %v", i, at[i], want)
			}
		}
		if stats, _ := of[*healthpb.Stats](b); len(stats) != 4 {
			t.Errorf("%d stats, want 3 and a last one", len(stats))
		}
		checks, at := b.checks("go.micro.healthcheck.ping")
		if len(checks) < 4 || len(checks) > 5 {
			t.Fatalf("%d checks in 35 s, want 4 or 5", len(checks))
		}
		if at[0] > time.Second+50*time.Millisecond {
			t.Errorf("first check left at %v, want it within a second", at[0])
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap > 11*time.Second+50*time.Millisecond {
				t.Errorf("%v between two runs, want at most the interval and a second", gap)
			}
		}
	})
}

func TestEventsCarryWhatTheBusWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		id := testIdentity
		id.Address, id.Metadata = "10.0.0.1:8080", map[string]string{"zone": "a"}
		r := newTestReporter(b, WithIdentity(id), WithInfo("hello"))
		if err := r.Add(Check{
			ID: "a", Description: "it works", Interval: 1500 * time.Millisecond, TTL: time.Minute,
			Run: func(context.Context) (map[string]string, error) {
				return map[string]string{"k": "v"}, errors.New("it does not")
			},
		}); err != nil {
			t.Fatal(err)
		}
		mustStart(t, r)
		now := time.Now().Unix()
		time.Sleep(900 * time.Millisecond)
		mustClose(t, r)

		checks, _ := b.checks("a")
		service := func() *healthpb.Service {
			return &healthpb.Service{Name: id.Name, Version: id.Version, Nodes: []*healthpb.Node{{Id: id.NodeID}}}
		}
		want := &healthpb.HealthCheck{
			Id: "a", Description: "it works", Timestamp: now, Interval: 2, Ttl: 60, Service: service(),
			Status: CheckError, Results: map[string]string{"k": "v"}, Error: "it does not",
		}
		wantMessage(t, "check", checks[0], want)
		statuses, _ := of[*healthpb.Status](b)
		long := service()
		long.Nodes[0].Address, long.Nodes[0].Metadata = id.Address, id.Metadata
		wantStatus := &healthpb.Status{
			Service: long, Status: NodeStarted, Info: "hello", Timestamp: now, Interval: 10, Ttl: 3600,
		}
		wantMessage(t, "status", statuses[0], wantStatus)
		stats, _ := of[*healthpb.Stats](b)
		wantMessage(t, "service of stats", stats[0].GetService(), service())
		if s := stats[0]; s.GetInterval() != 10 || s.GetTtl() != 3600 || s.GetTimestamp() != now {
			t.Errorf("stats have interval %d, ttl %d, timestamp %d", s.GetInterval(), s.GetTtl(), s.GetTimestamp())
		}
	})
}

func TestStoppedIsNewerThanWhatWasSentInTheSameSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		r := newTestReporter(b)
		mustStart(t, r)
		time.Sleep(100 * time.Millisecond)
		r.SetInfo("draining")
		mustClose(t, r)
		statuses, _ := of[*healthpb.Status](b)
		if len(statuses) != 2 {
			t.Fatalf("statuses %v, want STARTED and STOPPED", b.statuses())
		}
		if s := statuses[1]; s.GetTimestamp() != statuses[0].GetTimestamp()+1 || s.GetInfo() != "draining" {
			t.Errorf("STOPPED has timestamp %d and info %q, want %d and draining", s.GetTimestamp(), s.GetInfo(), statuses[0].GetTimestamp()+1)
		}
	})
}

// A publisher whose clock is set back is not taken for one that repeats old
// news.
// Faults: T16.
func TestTimestampsOfAReporterNeverGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		r := newTestReporter(b)
		r.Check("a", "", fine)
		ahead := time.Now().Unix() + 3600
		if got := r.timestamps.after(ahead); got != ahead { // what was sent before the clock was set
			t.Fatalf("stamp %d, want %d", got, ahead)
		}
		mustStart(t, r)
		time.Sleep(25 * time.Second)
		mustClose(t, r)
		statuses, _ := of[*healthpb.Status](b)
		for i, s := range statuses {
			want := ahead
			if i == len(statuses)-1 {
				want++ // STOPPED has to be newer
			}
			if s.GetTimestamp() != want {
				t.Errorf("%v has timestamp %d, want %d", s.GetStatus(), s.GetTimestamp(), want)
			}
		}
		checks, _ := b.checks("a")
		stats, _ := of[*healthpb.Stats](b)
		if len(statuses) != 4 || len(checks) < 3 || len(stats) != 3 {
			t.Fatalf("%d statuses, %d checks, %d stats", len(statuses), len(checks), len(stats))
		}
		for _, c := range checks {
			if c.GetTimestamp() != ahead {
				t.Errorf("a check has timestamp %d, want %d", c.GetTimestamp(), ahead)
			}
		}
		for _, s := range stats {
			if s.GetTimestamp() != ahead {
				t.Errorf("stats have timestamp %d, want %d", s.GetTimestamp(), ahead)
			}
		}
		if got := r.timestamps.after(ahead + 7); got != ahead+7 {
			t.Errorf("stamp %d once the clock has caught up, want %d", got, ahead+7)
		}
	})
}

func TestStartTellsEveryMistake(t *testing.T) {
	b := newFakeBroker()
	bad := Identity{Name: strings.Repeat("x", 129), NodeID: "n"}
	r := NewReporter(nil, WithIdentity(bad), WithPublisher(b), WithInterval(time.Millisecond), WithQueueSize(-1),
		WithErrorFunc(func(err error) { t.Errorf("told twice: %v", err) }))
	r.Check("", "", fine)
	r.Check("a", "", nil)
	err := r.Start()
	if err == nil {
		t.Fatal("started all the same")
	}
	for _, want := range []string{
		"starting the health reporter: ", "name of the service", "has 129 bytes, at most 128 are allowed",
		"interval 1ms must be from 1s to 1h0m0s", `check id "" must not be empty`, `check "a" has no function`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestTTLOutlastsTheInterval(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{
		time.Second:      time.Hour,
		time.Minute:      time.Hour,
		30 * time.Minute: 90 * time.Minute,
		time.Hour:        3 * time.Hour,
	} {
		o := newOptions([]Option{WithInterval(interval)})
		if err := o.validate(); err != nil || o.ttl != want {
			t.Errorf("interval %v: ttl %v (%v), want %v", interval, o.ttl, err, want)
		}
	}
	o := newOptions([]Option{WithTTL(time.Second)})
	if err := o.validate(); err == nil || !strings.Contains(err.Error(), "ttl 1s must be from the interval, 10s") {
		t.Errorf("error %v", err)
	}
}

// The observer sees everything in time, although the broker hangs, and may do what
// it likes.
func TestObserverKnowsWhileTheBrokerIsAway(t *testing.T) {
	for name, away := range map[string]func(context.Context, string, proto.Message) error{
		"fails": func(context.Context, string, proto.Message) error { return errors.New("away") },
		"hangs": func(ctx context.Context, _ string, _ proto.Message) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFakeBroker()
				b.before = away
				var mu sync.Mutex
				seen := map[string]int{}
				var r *Reporter
				r = newTestReporter(b, WithLogger(quiet), WithObserver(func(topic string, event proto.Message) {
					r.SetInfo("called without a lock")
					mu.Lock()
					defer mu.Unlock()
					switch event := event.(type) {
					case *healthpb.HealthCheck:
						topic += "/" + event.GetId()
					case *healthpb.Status:
						topic += "/" + event.GetStatus().String()
					}
					seen[topic]++
					panic("and that is swallowed")
				}))
				for _, id := range []string{"a", "b", "c"} {
					r.Check(id, "", fine)
				}
				mustStart(t, r)
				time.Sleep(65 * time.Second)
				if err := r.Close(t.Context()); err == nil {
					t.Error("Close tells nothing of what was not published")
				}
				for _, id := range []string{"a", "b", "c"} {
					if n := seen[TopicHealthCheck+"/"+id]; n < 6 || n > 8 {
						t.Errorf("check %s was seen %d times in 65 s, want about 7", id, n)
					}
					delete(seen, TopicHealthCheck+"/"+id)
				}
				want := map[string]int{
					TopicStatus + "/STARTED": 1, TopicStatus + "/RUNNING": 6, TopicStatus + "/STOPPED": 1, TopicStats: 7,
				}
				if !maps.Equal(seen, want) {
					t.Errorf("events seen: %v, want %v", seen, want)
				}
			})
		})
	}
}

func TestOptionsThatAreZeroLeaveTheDefaults(t *testing.T) {
	want := newOptions(nil)
	got := newOptions([]Option{
		WithIdentity(Identity{}), WithPublisher(nil), WithInterval(0), WithTTL(0), WithPublishTimeout(0),
		WithQueueSize(0), WithInfo(""), WithErrorFunc(nil), WithObserver(nil), WithLogger(nil),
	})
	if err := got.validate(); err != nil {
		t.Error(err)
	}
	if got.interval != DefaultInterval || got.ttl != DefaultTTL || got.publishTimeout != DefaultPublishTimeout ||
		got.queueSize != DefaultQueueSize || got.logger != want.logger || got.publisher != nil || got.onError != nil {
		t.Errorf("options %+v, want %+v", got, want)
	}
	for says, opt := range map[string]Option{
		"interval -1s must be from 1s to 1h0m0s":  WithInterval(-time.Second),
		"interval 2h0m0s must be from 1s":         WithInterval(2 * time.Hour),
		"ttl 25h0m0s must be from the interval":   WithTTL(25 * time.Hour),
		"publish timeout -1s must be more than 0": WithPublishTimeout(-time.Second),
		"queue size -1 must be at least 1":        WithQueueSize(-1),
	} {
		o := newOptions([]Option{opt})
		if err := o.validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
}

func TestStartAndCloseInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestReporter(newFakeBroker())
		mustClose(t, r)
		if err := r.Start(); !errors.Is(err, errClosed) {
			t.Errorf("Start after Close: %v", err)
		}
		b := newFakeBroker()
		r = newTestReporter(b)
		mustStart(t, r)
		if err := r.Start(); !errors.Is(err, errStarted) {
			t.Errorf("second Start: %v", err)
		}
		synctest.Wait()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { mustClose(t, r) })
		}
		wg.Wait()
		if got := b.statuses(); !slices.Equal(got, []string{"STARTED", "STOPPED"}) {
			t.Errorf("statuses %v, want STARTED and one STOPPED", got)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		if err := newTestReporter(b).Run(ctx); err != nil {
			t.Fatal(err)
		}
		if got := b.statuses(); !slices.Equal(got, []string{"STARTED", "RUNNING", "STOPPED"}) {
			t.Errorf("statuses %v", got)
		}
		if err := newTestReporter(nil).Run(ctx); err == nil {
			t.Error("Run without a publisher did not fail")
		}
	})
}

func TestStopLogsWhatCloseReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		b.before = func(context.Context, string, proto.Message) error { return errors.New("away") }
		var log strings.Builder
		r := newTestReporter(b, loggingTo(&log))
		mustStart(t, r)
		time.Sleep(time.Second)
		if err := r.Stop(); err != nil {
			t.Errorf("Stop returns %v, which would fail the service", err)
		}
		if !strings.Contains(log.String(), "STOPPED among them") {
			t.Errorf("log %q does not tell that STOPPED was lost", log.String())
		}
	})
}

func TestMistakeInALateCheckReachesTheErrorFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []error
		r := newTestReporter(newFakeBroker(), WithErrorFunc(func(err error) { got = append(got, err) }))
		mustStart(t, r)
		r.Check("a", "", fine)
		r.Check("a", "", fine)
		mustClose(t, r)
		if len(got) != 1 || !strings.Contains(got[0].Error(), `check "a" is there already`) {
			t.Errorf("errors %v", got)
		}
	})
}

func TestAddKeepsTheRightOnes(t *testing.T) {
	r := newTestReporter(newFakeBroker())
	err := r.Add(Check{ID: "a", Run: fine}, Check{ID: "b"}, Check{ID: "c", Run: fine})
	if err == nil || !strings.Contains(err.Error(), `check "b" has no function`) {
		t.Errorf("error %v", err)
	}
	if !r.Remove("a") || r.Remove("b") || !r.Remove("c") || r.Remove("c") {
		t.Error("not a and c were added")
	}
	for i := range MaxChecks {
		if err := r.Add(Check{ID: fmt.Sprint(i), Run: fine}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Add(Check{ID: "more", Run: fine}); err == nil || !strings.Contains(err.Error(), "at most 200 are allowed") {
		t.Errorf("error %v", err)
	}
}
