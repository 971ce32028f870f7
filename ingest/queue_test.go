package ingest

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

func newItem(c category, name string) *item {
	e := &store.Event{Service: []byte(name)}
	switch c {
	case categoryStatus:
		e.Kind = store.KindStatus
	case categoryFailing:
		e.Status = int32(healthpb.HealthCheck_ERROR)
	case categoryCheck:
		e.Status = int32(healthpb.HealthCheck_OK)
	case categoryStats:
		e.Kind = store.KindStats
	}
	it := new(item)
	it.set(e)
	return it
}

func names(items []*item) string {
	s := ""
	for _, it := range items {
		s += string(it.event.Service) + " "
	}
	return s
}

func (l *list) all() (items []*item) {
	for it := l.pop(); it != nil; it = l.pop() {
		items = append(items, it)
	}
	return items
}

func TestClassOf(t *testing.T) {
	for _, c := range []struct {
		event store.Event
		want  category
	}{
		{store.Event{Kind: store.KindStatus}, categoryStatus},
		{store.Event{Kind: store.KindStats}, categoryStats},
		{store.Event{Kind: store.KindCheck, Status: int32(healthpb.HealthCheck_ERROR)}, categoryFailing},
		{store.Event{Kind: store.KindCheck, Status: int32(healthpb.HealthCheck_WARNING)}, categoryFailing},
		{store.Event{Kind: store.KindCheck, Status: int32(healthpb.HealthCheck_OK)}, categoryCheck},
		{store.Event{Kind: store.KindCheck}, categoryCheck},
	} {
		if got := categoryOf(&c.event); got != c.want {
			t.Errorf("%v: %v, want %v", c.event, got, c.want)
		}
	}
}

func TestQueueKeepsChecksAndStatusesInOrderAndStatsLast(t *testing.T) {
	q := newQueue(100, 1<<20)
	for i, c := range []category{categoryStats, categoryCheck, categoryFailing, categoryCheck, categoryStatus, categoryStats, categoryCheck} {
		q.push(newItem(c, fmt.Sprint(i)))
	}
	if got, want := names(q.take(make([]*item, 0, 100))), "1 2 3 4 6 0 5 "; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
}

// Faults: T9.
func TestFullQueueDropsTheOldestOfTheLeastImportant(t *testing.T) {
	q := newQueue(4, 1<<20)
	push := func(c category, name string) string {
		dropped := q.push(newItem(c, name))
		return names(dropped.all())
	}
	for i, step := range []struct {
		class category
		name  string
		want  string // dropped
	}{
		{categoryStats, "stats1", ""},
		{categoryStats, "stats2", ""},
		{categoryCheck, "ok1", ""},
		{categoryFailing, "error1", ""},
		{categoryStats, "stats3", "stats1 "}, // the newer of its kind
		{categoryCheck, "ok2", "stats2 "},
		{categoryStatus, "status1", "stats3 "},
		{categoryFailing, "error2", "ok1 "},
		{categoryStats, "stats4", "stats4 "}, // all others matter more
		{categoryCheck, "ok3", "ok2 "},
		{categoryStatus, "status2", "ok3 "},
		{categoryCheck, "ok4", "ok4 "},
		{categoryFailing, "error3", "error1 "}, // as much, but older
	} {
		if got := push(step.class, step.name); got != step.want {
			t.Errorf("step %d, %s: dropped %q, want %q", i, step.name, got, step.want)
		}
	}
	if got, want := names(q.take(make([]*item, 0, 100))), "status1 error2 status2 error3 "; got != want {
		t.Errorf("kept %s, want %s", got, want)
	}
}

// Faults: T9.
func TestDefaultBoundsOfTheQueue(t *testing.T) {
	if q := NewEvents(Config{}).queue; q.maxCount != 65_536 || q.maxBytes != 64<<20 {
		t.Errorf("%d messages of %d bytes, want 65536 of 64 MiB", q.maxCount, q.maxBytes)
	}
}

func TestQueueIsBoundedByBytes(t *testing.T) {
	size := newItem(categoryCheck, "x").size()
	q := newQueue(100, 3*size)
	for range 3 {
		q.push(newItem(categoryCheck, "x"))
	}
	if dropped := q.push(newItem(categoryFailing, "long")); len(dropped.all()) != 2 {
		t.Error("three bytes more must cost two items")
	}
	if count, size, _ := q.state(); count != 2 || size > q.maxBytes {
		t.Errorf("%d items of %d bytes", count, size)
	}
	huge := newItem(categoryStatus, string(make([]byte, 4*size)))
	if dropped := q.push(huge); len(dropped.all()) != 3 {
		t.Error("what never fits must be dropped itself")
	}
}

func TestQueueTellsSinceWhenItDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 1<<20)
		q.push(newItem(categoryCheck, "a"))
		if _, _, since := q.state(); !since.IsZero() {
			t.Errorf("dropping since %v, want never", since)
		}
		start := time.Now()
		for range 5 {
			q.push(newItem(categoryCheck, "b"))
			time.Sleep(dropWindow)
		}
		if _, _, since := q.state(); !since.Equal(start) {
			t.Errorf("dropping since %v, want %v", since, start)
		}
		time.Sleep(time.Nanosecond)
		if _, _, since := q.state(); !since.IsZero() {
			t.Errorf("dropping since %v after the pause, want never", since)
		}
		again := time.Now()
		q.push(newItem(categoryCheck, "c"))
		if _, _, since := q.state(); !since.Equal(again) {
			t.Errorf("dropping since %v, want %v", since, again)
		}
	})
}
