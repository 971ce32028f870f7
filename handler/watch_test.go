package handler

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

func watch(t *testing.T, m *Monitor, req *monitorpb.WatchRequest) *monitorpb.WatchResponse {
	t.Helper()
	rsp := new(monitorpb.WatchResponse)
	if err := m.Watch(t.Context(), req, rsp); err != nil {
		t.Fatal(err)
	}
	if rsp.Instance != "monitor-1" || rsp.Started == 0 {
		t.Errorf("instance %q started %d", rsp.Instance, rsp.Started)
	}
	return rsp
}

func TestWatchAnswersWithTheNextTransition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newView()
		m := v.monitor()
		first := watch(t, m, &monitorpb.WatchRequest{Wait: 2})
		if len(first.Transitions) != 0 || first.Gap || first.Seq == 0 {
			t.Errorf("answer %v, want none and a seq", first)
		}
		start := time.Now()
		go func() {
			time.Sleep(1500 * time.Millisecond)
			v.feedMessages(t, eventtest.Check())
		}()
		second := watch(t, m, &monitorpb.WatchRequest{SinceSeq: first.Seq, Wait: 4, Instance: "monitor-1"})
		if took := time.Since(start); took != 1500*time.Millisecond {
			t.Errorf("answered after %v, want 1.5s", took)
		}
		if len(second.Transitions) != 1 || second.Transitions[0].To != "ERROR" || second.Gap || second.Seq != first.Seq+1 {
			t.Errorf("answer %v", second)
		}
		if again := watch(t, m, &monitorpb.WatchRequest{SinceSeq: first.Seq, Wait: 4}); len(again.Transitions) != 1 {
			t.Errorf("answer %v, want the same at once", again)
		}
	})
}

func TestWatchWaitsNoLongerThanFourSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newView().monitor()
		for asked, want := range map[int64]time.Duration{
			0: 0, 1: time.Second, 4: 4 * time.Second, 5: 4 * time.Second, 1 << 62: 4 * time.Second,
		} {
			start := time.Now()
			rsp := watch(t, m, &monitorpb.WatchRequest{SinceSeq: m.newest(), Wait: asked})
			if took := time.Since(start); took != want || rsp.Gap || len(rsp.Transitions) > 0 {
				t.Errorf("wait %d: answered %v after %v, want none after %v", asked, rsp, took, want)
			}
		}
	})
}

// What the filter leaves out must not end the wait, nor come again.
func TestWatchGoesOnWaitingForWhatTheFilterSelects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newView()
		m := v.monitor()
		since := m.newest()
		go func() {
			for i := range 3 {
				time.Sleep(time.Second)
				v.feedMessages(t, eventtest.OfNode(i, eventtest.Check()))
			}
		}()
		start := time.Now()
		rsp := watch(t, m, &monitorpb.WatchRequest{SinceSeq: since, Wait: 4, Node: "node-0002"})
		if took := time.Since(start); took != 3*time.Second || len(rsp.Transitions) != 1 || rsp.Seq != since+3 {
			t.Errorf("answered %v after %v, want the third", rsp, took)
		}
		none := watch(t, m, &monitorpb.WatchRequest{SinceSeq: since, Wait: 1, Node: "node-0009"})
		if len(none.Transitions) != 0 || none.Seq != since+3 {
			t.Errorf("answered %v, want none and to go on from %d", none, since+3)
		}
	})
}

func TestWatchAnnouncesGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newView()
		v.feedMessages(t, eventtest.Check())
		m := v.monitor()
		newest := m.newest()
		for name, req := range map[string]*monitorpb.WatchRequest{
			"another instance":   {SinceSeq: newest, Wait: 4, Instance: "monitor-2"},
			"seq of the future":  {SinceSeq: newest + 1000, Wait: 4},
			"seq long forgotten": {SinceSeq: 5, Wait: 4},
		} {
			start := time.Now()
			rsp := watch(t, m, req)
			if !rsp.Gap || rsp.Seq != newest || time.Since(start) != 0 {
				t.Errorf("%s: %v after %v, want a gap at once and to go on from %d", name, rsp, time.Since(start), newest)
			}
		}
		if rsp := watch(t, m, &monitorpb.WatchRequest{SinceSeq: 0}); rsp.Gap || len(rsp.Transitions) != 1 {
			t.Errorf("%v, want all that is held without a gap", rsp)
		}
	})
}

func TestWatchHasABoundedNumberOfWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newView()
		m := NewMonitor(Config{Store: v.store, Instance: "monitor-1", MaxWaiting: 2})
		answers := make(chan time.Duration, 3)
		start := time.Now()
		for range 3 {
			go func() {
				watch(t, m, &monitorpb.WatchRequest{SinceSeq: m.newest(), Wait: 4})
				answers <- time.Since(start)
			}()
		}
		for i, want := range []time.Duration{0, 4 * time.Second, 4 * time.Second} {
			if got := <-answers; got != want {
				t.Errorf("answer %d after %v, want %v", i, got, want)
			}
		}
	})
}

func TestWatchEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newView().monitor()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := m.Watch(ctx, &monitorpb.WatchRequest{SinceSeq: m.newest(), Wait: 4}, new(monitorpb.WatchResponse)); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("answered after %v, want 1s", took)
		}
	})
}

func TestHistoryWalksBack(t *testing.T) {
	v := newView()
	for i := range 25 {
		c := eventtest.Check()
		c.Timestamp += int64(i)
		c.Status = healthpb.HealthCheck_Status(1 + i%2)
		v.feedMessages(t, c)
	}
	m := v.monitor()
	var all []*monitorpb.Transition
	req := &monitorpb.HistoryRequest{Service: "go.micro.srv.pong"}
	for more := true; more; {
		rsp := new(monitorpb.HistoryResponse)
		if err := m.History(t.Context(), req, rsp); err != nil {
			t.Fatal(err)
		}
		if len(rsp.Transitions) > store.DefaultLimit {
			t.Fatalf("%d transitions, want at most the default", len(rsp.Transitions))
		}
		all = append(all, rsp.Transitions...)
		more, req.BeforeSeq = rsp.More, all[len(all)-1].Seq
	}
	if len(all) != 25 || all[0].To != "OK" || all[24].Why != "first report" {
		t.Fatalf("%d transitions from %v to %v", len(all), all[0], all[len(all)-1])
	}
	for i, tr := range all[1:] {
		if tr.Seq != all[i].Seq-1 {
			t.Errorf("seq %d follows %d", tr.Seq, all[i].Seq)
		}
	}
}
