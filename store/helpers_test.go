package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

const (
	unknown = int32(healthpb.HealthCheck_UNKNOWN)
	ok      = int32(healthpb.HealthCheck_OK)
	failing = int32(healthpb.HealthCheck_ERROR)
	warning = int32(healthpb.HealthCheck_WARNING)

	started   = int32(healthpb.Status_STARTED)
	running   = int32(healthpb.Status_RUNNING)
	isStopped = int32(healthpb.Status_STOPPED)
)

// check makes an event of version 1 of service "a" with an interval of 10 s and
// the ttl that all publishers of 2016 sent.
func check(node, id string, status int32, timestamp int64) *Event {
	return &Event{
		Kind: KindCheck, Service: []byte("a"), Version: []byte("1"), Node: []byte(node), ID: []byte(id),
		Description: []byte("about " + id), Status: status,
		Timestamp: timestamp, Interval: 10, TTL: 3600,
	}
}

func status(node string, status int32, timestamp int64) *Event {
	e := check(node, "", status, timestamp)
	e.Kind, e.ID, e.Description = KindStatus, nil, nil
	return e
}

func stats(node string, timestamp int64) *Event {
	e := status(node, 0, timestamp)
	e.Kind = KindStats
	return e
}

// of moves an event to another service.
func (e *Event) of(service, version string) *Event {
	e.Service, e.Version = []byte(service), []byte(version)
	return e
}

// saying gives an event an error.
func (e *Event) saying(text string) *Event {
	e.Body = protowire.AppendString(protowire.AppendTag(e.Body, 9, protowire.BytesType), text)
	return e
}

func mustPut(t testing.TB, s *Store, want Outcome, events ...*Event) {
	t.Helper()
	for _, ev := range events {
		if got := s.Put(ev); got != want {
			t.Fatalf("Put(%s %s/%s/%s/%s at %d) = %d, want %d",
				[]string{"check", "status", "stats"}[ev.Kind], ev.Service, ev.Version, ev.Node, ev.ID, ev.Timestamp, got, want)
		}
	}
}

// all walks all pages of a list that nothing changes.
func all[T any](t testing.TB, list func(Query) (Page[T], error), q Query) []T {
	t.Helper()
	items, total := walk(t, list, q)
	if len(items) != total {
		t.Fatalf("walked %d items, the total is %d", len(items), total)
	}
	return items
}

// walk returns all pages of a list and the total that the last one told.
func walk[T any](t testing.TB, list func(Query) (Page[T], error), q Query) (items []T, total int) {
	t.Helper()
	q.Limit = 7
	for {
		p, err := list(q)
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		items = append(items, p.Items...)
		if p.Next == "" {
			return items, p.Total
		}
		q.Cursor = p.Next
	}
}

// theCheck returns the only check that q selects.
func theCheck(t testing.TB, s *Store, q Query) Check {
	t.Helper()
	p, err := s.Checks(q)
	if err != nil {
		t.Fatal(err)
	}
	if p.Total != 1 || len(p.Items) != 1 {
		t.Fatalf("%d checks, want 1: %+v", p.Total, p.Items)
	}
	return p.Items[0]
}

func theNode(t testing.TB, s *Store, q Query) NodeStatus {
	t.Helper()
	p, err := s.Nodes(q)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Items) != 1 {
		t.Fatalf("%d statuses, want 1: %+v", p.Total, p.Items)
	}
	return p.Items[0]
}

// line is a transition as a test expects it.
func line(t Transition) string {
	return fmt.Sprintf("%s/%s %s->%s: %s", t.Node, t.ID, t.From, t.To, t.Why)
}

// lines returns all transitions that q selects, oldest first.
func lines(s *Store, q TransitionQuery) (lines []string) {
	q.Limit = MaxLimit
	ts, _, _ := s.After(q, 0)
	for _, t := range ts {
		lines = append(lines, line(t))
	}
	return lines
}

// sleepTicks waits in a bubble of synctest.
func sleepTicks(n int) { time.Sleep(time.Duration(n) * tick) }

// still returns a store for which no time passes, for tests that may take longer
// than the intervals of their events.
func still(cfg Config) *Store {
	s := New(cfg)
	s.clock.mono = func() time.Duration { return 0 }
	return s
}
