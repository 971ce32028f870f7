package ingest

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

// badEvent is an event of which it is known whether it is taken.
type badEvent struct {
	name        string
	kind        store.Kind
	contentType string
	body        []byte
	taken       bool
}

// raw replaces text in the wire bytes by bytes of the same length that no
// marshaller would write.
func raw(t *testing.T, m proto.Message, old, new string) []byte {
	t.Helper()
	wire := eventtest.Wire(t, m)
	if len(old) != len(new) || !strings.Contains(string(wire), old) {
		t.Fatalf("%q cannot be replaced", old)
	}
	return []byte(strings.ReplaceAll(string(wire), old, new))
}

// badEvents is the table of T62 for each of the three messages.
func badEvents(t *testing.T) []badEvent {
	var all []badEvent
	n := 0
	add := func(name string, taken bool, m proto.Message) {
		all = append(all, badEvent{name, eventtest.KindOf[store.Kind](m), "application/protobuf", eventtest.Wire(t, m), taken})
	}
	// fresh returns a message of each kind, of a node of its own.
	fresh := func() (*healthpb.HealthCheck, *healthpb.Status, *healthpb.Stats) {
		n++
		return eventtest.OfNode(n, eventtest.Check()), eventtest.OfNode(n, eventtest.Status()), eventtest.OfNode(n, eventtest.Stats())
	}
	services := map[string]*healthpb.Service{
		"nil service":          nil,
		"empty service":        {},
		"no nodes":             {Name: "go.micro.srv.bad"},
		"nil node":             {Name: "go.micro.srv.bad", Nodes: []*healthpb.Node{nil}},
		"node without id":      {Name: "go.micro.srv.bad", Nodes: []*healthpb.Node{{Address: "x:1"}}},
		"nodes without a name": {Nodes: []*healthpb.Node{{Id: "n"}}},
	}
	for name, service := range services {
		check, status, stats := fresh()
		check.Service, status.Service, stats.Service = service, service, service
		add(name, false, check)
		add(name, false, status)
		add(name, false, stats)
	}
	for _, v := range []int64{0, -1, 1, math.MaxInt64, math.MinInt64, math.MaxInt32 + 1} {
		for field, set := range map[string]func(*int64, *int64, *int64){
			"timestamp": func(timestamp, _, _ *int64) { *timestamp = v },
			"interval":  func(_, interval, _ *int64) { *interval = v },
			"ttl":       func(_, _, ttl *int64) { *ttl = v },
			"all times": func(a, b, c *int64) { *a, *b, *c = v, v, v },
		} {
			check, status, stats := fresh()
			set(&check.Timestamp, &check.Interval, &check.Ttl)
			set(&status.Timestamp, &status.Interval, &status.Ttl)
			set(&stats.Timestamp, &stats.Interval, &stats.Ttl)
			name := fmt.Sprintf("%s of %d", field, v)
			add(name, true, check)
			add(name, true, status)
			add(name, true, stats)
		}
	}
	check, status, stats := fresh()
	check.Status, status.Status = 99, -5
	stats.Endpoints[0].Side = 77
	add("unknown enum", true, check)
	add("unknown enum", true, status)
	add("unknown enum", true, stats)

	_, _, stats = fresh()
	stats.Endpoints = append(stats.Endpoints, nil, &healthpb.Endpoint{
		Errors:  &healthpb.Metrics{Count: math.MinInt64, Mean: math.NaN(), StdDev: math.Inf(1), Upper95: math.Inf(-1)},
		Success: &healthpb.Metrics{Count: math.MaxInt64, Mean: math.MaxFloat64, StdDev: math.SmallestNonzeroFloat64},
	})
	add("NaN and Inf", true, stats)

	check, status, stats = fresh()
	for i := range 10000 {
		node := &healthpb.Node{Id: fmt.Sprint("many-", i)}
		check.Service.Nodes = append(check.Service.Nodes, node)
		status.Service.Nodes = append(status.Service.Nodes, node)
		stats.Service.Nodes = append(stats.Service.Nodes, node)
	}
	add("10,000 nodes", true, check)
	add("10,000 nodes", true, status)
	add("10,000 nodes", true, stats)

	check, status, _ = fresh()
	check.Description, status.Info = strings.Repeat("x", 10<<20), strings.Repeat("x", 10<<20)
	add("10 MB string", false, check)
	add("10 MB string", false, status)
	return append(all, badBytes(t)...)
}

// badBytes are those of which the bytes are bad, not the values.
func badBytes(t *testing.T) []badEvent {
	var all []badEvent
	add := func(name string, kind store.Kind, contentType string, taken bool, body []byte) {
		all = append(all, badEvent{name, kind, contentType, body, taken})
	}
	const pb, js = "application/protobuf", "application/json"
	for _, kind := range kinds {
		wire := eventtest.Wire(t, eventtest.Typical(kind))
		add("empty", kind, pb, false, nil)
		add("empty", kind, js, false, nil)
		add("null", kind, js, false, []byte("null"))
		add("array", kind, js, false, []byte("[]"))
		add("deep", kind, js, false, []byte(strings.Repeat(`{"a":`, 50000)))
		add("form", kind, "application/x-www-form-urlencoded", false, wire)
		add("protobuf as JSON", kind, js, false, wire)
		add("JSON as protobuf", kind, pb, false, []byte(`{"id":"x"}`))
		add("cut short", kind, pb, false, wire[:len(wire)-1])
		add("garbage", kind, pb, false, []byte("\xff\xff\xff\xff\x01"))
		add("claims 4 GB", kind, pb, false, []byte("\x0a\xff\xff\xff\xff\x0f"))
		add("bytes in a name", kind, pb, false, raw(t, eventtest.Typical(kind), "go.micro.srv", "go.micro\xffsrv"))
		add("NUL in a node", kind, pb, false, raw(t, eventtest.Typical(kind), "6fb2a1c4", "6fb2\x00\x00c4"))
	}
	add("bytes in a text", store.KindCheck, pb, true, raw(t, eventtest.OfNode(9001, eventtest.Check()), "connection", "\xff\xfe\xfd\x00\x1b[1m\xc3\x28"))
	add("bytes in a result", store.KindCheck, pb, true, raw(t, eventtest.OfNode(9002, eventtest.Check()), "no answer", "no\xc3\x28nswer"))
	add("bytes in a key", store.KindCheck, pb, true, raw(t, eventtest.OfNode(9003, eventtest.Check()), "latency", "late\xff\xff\xff"))
	add("bytes in an info", store.KindStatus, pb, true, raw(t, eventtest.OfNode(9004, eventtest.Status()), "serving", "ser\xf0\x28\x8cg"))
	add("bytes in a method", store.KindStats, pb, true, raw(t, eventtest.OfNode(9005, eventtest.Stats()), "Pong.Ping", "Pong\xffPing"))
	return all
}

// Faults: T62.
func TestBadEventsSpoilNothing(t *testing.T) {
	v := newView()
	events := badEvents(t)
	good := 0
	for i, bad := range events {
		before := v.events.Counters()
		v.feed(bad.kind, bad.contentType, bad.body)
		after := v.events.Counters()
		topic := topics[bad.kind]
		took := after.Topics[topic].Accepted - before.Topics[topic].Accepted
		if taken := took == 1; taken != bad.taken {
			t.Errorf("%s, kind %d: taken %v, want %v (%v)", bad.name, bad.kind, taken, bad.taken, after.Rejected)
		}
		if i%10 == 0 { // others, in between
			v.feedMessages(t, eventtest.OfNode(5000+i, eventtest.Check()), eventtest.OfNode(5000+i, eventtest.Status()), eventtest.OfNode(5000+i, eventtest.Stats()))
			good++
		}
	}
	if n := v.events.Counters().Rejected["internal"]; n != 0 {
		t.Errorf("%d panics", n)
	}
	checkSum(t, v.events.Counters(), 0)
	c := v.store.Counters()
	if c.Checks < good || c.Statuses < good || c.Stats < good {
		t.Errorf("%d checks, %d statuses, %d stats, want at least %d each", c.Checks, c.Statuses, c.Stats, good)
	}
	listEverything(t, v)
}

// listEverything asks for all that a view holds in both content types, and
// verifies that each answer can be read and is complete.
func listEverything(t *testing.T, v *view) {
	t.Helper()
	p := serve(t, v.monitor())
	want := v.store.Counters()
	for _, contentType := range []string{"application/protobuf", "application/json"} {
		c := p.Client(contentType)
		checks, err := c.HealthChecks(t.Context(), &monitorpb.HealthChecksRequest{Limit: 1000, Missing: true}, p.At())
		if err != nil || len(checks.GetHealthChecks()) != want.Checks {
			t.Errorf("%s: %d checks, want %d: %v", contentType, len(checks.GetHealthChecks()), want.Checks, err)
		}
		statuses, err := c.Status(t.Context(), &monitorpb.StatusRequest{Limit: 1000, Missing: true, Verbose: true}, p.At())
		if err != nil || len(statuses.GetStatuses()) != want.Statuses {
			t.Errorf("%s: %d statuses, want %d: %v", contentType, len(statuses.GetStatuses()), want.Statuses, err)
		}
		stats, err := c.Stats(t.Context(), &monitorpb.StatsRequest{Limit: 1000, Missing: true}, p.At())
		if err != nil || len(stats.GetStats()) != want.Stats {
			t.Errorf("%s: %d stats, want %d: %v", contentType, len(stats.GetStats()), want.Stats, err)
		}
		if _, err := c.Services(t.Context(), &monitorpb.ServicesRequest{}, p.At()); err != nil {
			t.Errorf("%s: services: %v", contentType, err)
		}
		if _, err := c.Status(t.Context(), &monitorpb.StatusRequest{Limit: 1000}, p.At()); err != nil {
			t.Errorf("%s: summary: %v", contentType, err)
		}
		if _, err := c.History(t.Context(), &monitorpb.HistoryRequest{Limit: 1000}, p.At()); err != nil {
			t.Errorf("%s: history: %v", contentType, err)
		}
	}
	for _, method := range []string{"HealthChecks", "Services", "Status", "Stats", "History", "Watch"} {
		status, answer := p.Ask(t, method, `{"limit":1000}`)
		if status != 200 || !json.Valid([]byte(answer)) || !utf8.ValidString(answer) {
			t.Errorf("%s: status %d: %.200q", method, status, answer)
		}
	}
}
