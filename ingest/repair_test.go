package ingest

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/wire"
)

// A body must be such that every reader can decode it, or one event would spoil
// the answers about all others.
// Faults: A19.
func TestTextIsCutAndRepaired(t *testing.T) {
	long := strings.Repeat("é", health.MaxText)
	m := eventtest.Check()
	m.Description, m.Error = long, long
	m.Results = map[string]string{"k": long, strings.Repeat("k", 200): "v"}
	wire := eventtest.Wire(t, m)
	d := decoded(t, store.KindCheck, wire)
	got := message(t, &d.event).(*healthpb.HealthCheck)
	for name, text := range map[string]string{"description": got.Description, "error": got.Error, "result": got.Results["k"]} {
		if len(text) > health.MaxText || len(text) < health.MaxText-8 || !strings.HasSuffix(text, health.CutMark) {
			t.Errorf("%s: %d bytes ending in %q, want at most %d with the mark", name, len(text), text[len(text)-8:], health.MaxText)
		}
	}
	if len(got.Results) != 2 {
		t.Errorf("results %v, want the pair with the long key too", got.Results)
	}
	if !d.repairs.has(repairCut) {
		t.Error("the cut was not counted")
	}
}

// checkWith is a check with n results of the same value, from key-000.
func checkWith(n int, value string) *healthpb.HealthCheck {
	m := eventtest.Check()
	m.Results = make(map[string]string)
	for i := range n {
		m.Results[fmt.Sprintf("key-%03d", i)] = value
	}
	return m
}

// A map of Go has no order on the wire, so it must not decide what is left out.
// Faults: A19.
func TestResultsLeftOutDoNotDependOnTheirOrder(t *testing.T) {
	m := checkWith(300, "v")
	var first map[string]string
	for range 20 {
		wire, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		d := decoded(t, store.KindCheck, wire)
		got := message(t, &d.event).(*healthpb.HealthCheck)
		if len(got.Results) != health.MaxResults || got.Results[health.CutMark] == "" || got.Results["key-062"] != "v" {
			t.Fatalf("%d results with mark %q, want %d", len(got.Results), got.Results[health.CutMark], health.MaxResults)
		}
		if first == nil {
			first = got.Results
		}
		if diff := cmp.Diff(first, got.Results); diff != "" {
			t.Fatalf("another order, other results (-first +got):\n%s", diff)
		}
		if !d.repairs.has(repairResults) {
			t.Fatal("not counted")
		}
	}
}

// Faults: A19.
func TestResultsInAllAreLimited(t *testing.T) {
	m := checkWith(20, strings.Repeat("v", health.MaxResultValue))
	d := decoded(t, store.KindCheck, eventtest.Wire(t, m))
	got := message(t, &d.event).(*healthpb.HealthCheck)
	total := 0
	for k, v := range got.Results {
		total += len(k) + len(v)
	}
	if total > health.MaxResultsTotal+64 || len(got.Results) != 8 {
		t.Errorf("%d results of %d bytes, want 7 and the mark", len(got.Results), total)
	}
}

// What proto.Unmarshal would not take may stand in a piece that it merges with a
// later one. It must not get into the body as it is.
// Faults: A3.
func TestEveryPieceOfTheBodyIsChecked(t *testing.T) {
	bad := []byte{0xff}
	entry := wire.AppendBytes(wire.AppendBytes(wire.AppendBytes(nil, 1, bad), 1, []byte("k")), 2, []byte("v"))
	endpoint := wire.AppendBytes(wire.AppendBytes(nil, 2, bad), 2, []byte("Method"))
	for name, c := range map[string]struct {
		kind store.Kind
		wire []byte
		want string
	}{
		"error twice":       {store.KindCheck, wire.AppendBytes(wire.AppendBytes(nil, 9, bad), 9, []byte("e")), `error:"e"`},
		"key twice":         {store.KindCheck, wire.AppendBytes(nil, 8, entry), `results:{key:"k"`},
		"info twice":        {store.KindStatus, wire.AppendBytes(wire.AppendBytes(nil, 3, bad), 3, []byte("i")), `info:"i"`},
		"method twice":      {store.KindStats, wire.AppendBytes(nil, 9, endpoint), `method:"Method"`},
		"memory in pieces":  {store.KindStats, wire.AppendBytes(wire.AppendBytes(nil, 6, nil), 6, wire.AppendUint(nil, 1, 5)), `max_rss:5`},
		"unknown in entry":  {store.KindCheck, wire.AppendBytes(nil, 8, wire.AppendBytes(nil, 5, bad)), `results:{key:""`},
		"body apart":        {store.KindCheck, append(wire.AppendUint(wire.AppendBytes(nil, 9, []byte("e")), 30, 1), wire.AppendBytes(nil, 8, nil)...), `error:"e"`},
		"unknown in cpu":    {store.KindStats, wire.AppendBytes(nil, 5, wire.AppendBytes(nil, 9, bad)), ``},
		"metrics in pieces": {store.KindStats, wire.AppendBytes(nil, 9, wire.AppendBytes(wire.AppendBytes(nil, 3, wire.AppendUint(nil, 1, 3)), 3, nil)), `count:3`},
	} {
		head := eventtest.Wire(t, &healthpb.Stats{Service: eventtest.Check().Service})
		if c.kind == store.KindCheck {
			head = identityOf("s", "1", "n", "x")
		}
		d := newDecoder()
		if rej := d.decode(c.kind, append(head, c.wire...)); rej.reason != accepted {
			t.Errorf("%s: %v", name, rej)
			continue
		}
		got := strings.ReplaceAll(fmt.Sprint(message(t, &d.event)), "  ", " ")
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Faults: T62.
func TestInvalidMetricsAreZero(t *testing.T) {
	m := eventtest.Stats()
	m.Endpoints = []*healthpb.Endpoint{{
		Method:  "A.B",
		Errors:  &healthpb.Metrics{Count: -1, Mean: math.NaN(), StdDev: math.Inf(1), Upper95: math.Inf(-1)},
		Success: &healthpb.Metrics{Count: 5, Mean: -1, StdDev: 2, Upper95: 3},
	}}
	d := decoded(t, store.KindStats, eventtest.Wire(t, m))
	got := message(t, &d.event).(*healthpb.Stats)
	want := []*healthpb.Endpoint{{Method: "A.B", Success: &healthpb.Metrics{Count: 5, StdDev: 2, Upper95: 3}}}
	if diff := cmp.Diff(want, got.Endpoints, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !d.repairs.has(repairMetrics) {
		t.Error("not counted")
	}
}

// Faults: T62.
func TestEndpointsBeyondTheLimitAreSummed(t *testing.T) {
	m := eventtest.Stats()
	m.Endpoints = nil
	for i := range health.MaxEndpoints + 1 {
		p := &healthpb.Endpoint{Method: fmt.Sprint("M.", i)}
		if i >= health.MaxEndpoints-1 {
			p.Success = &healthpb.Metrics{Count: 10, Mean: float64(i), StdDev: 1, Upper95: float64(2 * i)}
		}
		m.Endpoints = append(m.Endpoints, p)
	}
	d := decoded(t, store.KindStats, eventtest.Wire(t, m))
	got := message(t, &d.event).(*healthpb.Stats).Endpoints
	if len(got) != health.MaxEndpoints {
		t.Fatalf("%d endpoints, want %d", len(got), health.MaxEndpoints)
	}
	want := &healthpb.Endpoint{
		Method: health.OtherEndpoints,
		// Ten requests of 511 and ten of 512, each with a variance of 1.
		Success: &healthpb.Metrics{Count: 20, Mean: 511.5, StdDev: math.Sqrt(1.25), Upper95: 1024},
	}
	if diff := cmp.Diff(want, got[health.MaxEndpoints-1], protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !d.repairs.has(repairEndpoints) {
		t.Error("not counted")
	}
}

// Faults: T62.
func TestUnknownEnumNumbersAreUnknown(t *testing.T) {
	for _, n := range []int32{4, 99, -1, math.MaxInt32, math.MinInt32} {
		check, status := eventtest.Check(), eventtest.Status()
		check.Status, status.Status = healthpb.HealthCheck_Status(n), healthpb.Status_Status(n)
		for kind, m := range map[store.Kind]proto.Message{store.KindCheck: check, store.KindStatus: status} {
			d := newDecoder()
			if rej := d.decode(kind, eventtest.Wire(t, m)); rej.reason != accepted || d.event.Status != 0 {
				t.Errorf("%T with %d: %v, status %d, want 0", m, n, rej, d.event.Status)
			}
			if !d.repairs.has(repairEnum) {
				t.Errorf("%T with %d: not counted", m, n)
			}
		}
	}
}
