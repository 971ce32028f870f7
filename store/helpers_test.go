package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

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

// fleet makes the events of many nodes that all run the same checks, as the
// publishers of 2016 sent them.
type fleet struct {
	services, nodes, ids []string
	bodies               [][]byte
	unix                 int64
}

// typical is the event most benchmarks are about: 5 results, about 234 bytes.
func typical(node, id string, n int) *healthpb.HealthCheck {
	return &healthpb.HealthCheck{
		Id: id, Description: "Pings the database", Timestamp: 1_480_000_000 + int64(n), Interval: 10, Ttl: 3600,
		Service: &healthpb.Service{
			Name: "go.micro.srv.billing", Version: "2016.11.1",
			Nodes: []*healthpb.Node{{Id: node}},
		},
		Status: healthpb.HealthCheck_OK,
		Results: map[string]string{
			"foo": fmt.Sprint("bar-", n%10), "latency": fmt.Sprintf("%dms", 1+n%9), "conns": fmt.Sprint(10 + n%80),
			"queue": fmt.Sprint(n % 10), "region": "eu-west-1",
		},
	}
}

func newFleet(nodes, checks int) *fleet {
	f := &fleet{unix: time.Now().Unix()}
	for i := range nodes {
		f.services = append(f.services, fmt.Sprintf("go.micro.srv.svc-%03d", i%100))
		f.nodes = append(f.nodes, fmt.Sprintf("go.micro.srv.svc-%03d-4c3a6f0e-9d%02x-11e6-b4%02x-%012x", i%100, i%251, i%241, i))
	}
	for i := range checks {
		f.ids = append(f.ids, fmt.Sprintf("go.micro.healthcheck.%03d", i))
	}
	for n := range 90 {
		m := typical("", "", n)
		body, err := proto.Marshal(&healthpb.HealthCheck{Results: m.Results})
		if err != nil {
			panic(err)
		}
		f.bodies = append(f.bodies, body)
	}
	return f
}

func (f *fleet) size() int { return len(f.nodes) * len(f.ids) }

// set makes ev the i-th check in its n-th round.
func (f *fleet) set(ev *Event, i, round int) {
	node := i / len(f.ids)
	ev.Kind = KindCheck
	ev.Service = append(ev.Service[:0], f.services[node]...)
	ev.Version = append(ev.Version[:0], "2016.11.1"...)
	ev.Node = append(ev.Node[:0], f.nodes[node]...)
	ev.ID = append(ev.ID[:0], f.ids[i%len(f.ids)]...)
	ev.Description = append(ev.Description[:0], "Pings the database"...)
	ev.Status = int32(healthpb.HealthCheck_OK)
	ev.Interval, ev.TTL = 10, 3600
	ev.Timestamp = f.unix
	ev.Body = f.bodies[(i+round)%len(f.bodies)]
}

// fill puts the first event of every check.
func (f *fleet) fill(s *Store) {
	var ev Event
	for i := range f.size() {
		f.set(&ev, i, 0)
		if s.Put(&ev) != Accepted {
			panic(fmt.Sprintf("event %d of %d was not accepted", i, f.size()))
		}
	}
}

// roomy is a Config without caps in the way.
func roomy() Config {
	return Config{MaxServices: 1e7, MaxNodes: 1e7, MaxChecksPerNode: 1e7, MaxEntries: 1e8, Share: 1}
}

func TestTypicalEventIsAboutAsLongAsOnTheBus(t *testing.T) {
	f := newFleet(1, 1)
	b, err := proto.Marshal(typical(f.nodes[0], f.ids[0], 3))
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 215 || len(b) > 255 {
		t.Errorf("the typical event has %d bytes, want about 234", len(b))
	}
	t.Logf("%d bytes, of which %d are body", len(b), len(f.bodies[3]))
}
