package handler

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

func newDecoder() *decoder { return &decoder{shapes: newShapes()} }

// message rebuilds the message that an event stands for, as far as the store
// keeps it.
func message(t testing.TB, e *store.Event) proto.Message {
	t.Helper()
	node := &healthpb.Node{}
	if err := proto.Unmarshal(e.Metadata, node); err != nil {
		t.Fatalf("metadata: %v", err)
	}
	node.Id, node.Address = string(e.Node), string(e.Address)
	service := &healthpb.Service{
		Name: string(e.Service), Version: string(e.Version), Nodes: []*healthpb.Node{node},
	}
	var m proto.Message
	switch e.Kind {
	case store.KindCheck:
		m = &healthpb.HealthCheck{
			Id: string(e.ID), Description: string(e.Description), Service: service,
			Timestamp: e.Timestamp, Interval: e.Interval, Ttl: e.TTL,
			Status: healthpb.HealthCheck_Status(e.Status),
		}
	case store.KindStatus:
		m = &healthpb.Status{
			Service: service, Timestamp: e.Timestamp, Interval: e.Interval, Ttl: e.TTL,
			Status: healthpb.Status_Status(e.Status),
		}
	default:
		m = &healthpb.Stats{Service: service, Timestamp: e.Timestamp, Interval: e.Interval, Ttl: e.TTL}
	}
	if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(e.Body, m); err != nil {
		t.Fatalf("body: %v", err)
	}
	return m
}

func typicalStatus() *healthpb.Status {
	return &healthpb.Status{
		Service:   typicalCheck().Service,
		Status:    healthpb.Status_RUNNING,
		Info:      "serving",
		Timestamp: 1763760000,
		Interval:  10,
		Ttl:       3600,
	}
}

func typicalStats() *healthpb.Stats {
	return &healthpb.Stats{
		Service:   typicalCheck().Service,
		Timestamp: 1763760000,
		Interval:  60,
		Ttl:       3600,
		Cpu:       &healthpb.CPU{UserTime: 1e9, SystemTime: 2e8, VolCtxSwitch: 17, InvCtxSwitch: 4},
		Memory:    &healthpb.Memory{MaxRss: 20480},
		Disk:      &healthpb.Disk{InBlock: 8, OuBlock: 16},
		Runtime:   &healthpb.Runtime{NumThreads: 12, HeapTotal: 4 << 20, HeapInUse: 2 << 20},
		Endpoints: []*healthpb.Endpoint{
			{
				Service: "go.micro.srv.pong", Method: "Pong.Ping",
				Errors:  &healthpb.Metrics{Count: 2, Mean: 1e6, StdDev: 1e5, Upper95: 1.2e6},
				Success: &healthpb.Metrics{Count: 100, Mean: 2e6, StdDev: 3e5, Upper95: 2.5e6},
			},
			{Service: "go.micro.srv.ping", Method: "Ping.Call", Side: healthpb.Endpoint_CLIENT},
		},
	}
}

func typical(kind store.Kind) proto.Message {
	switch kind {
	case store.KindCheck:
		return typicalCheck()
	case store.KindStatus:
		return typicalStatus()
	default:
		return typicalStats()
	}
}

var kinds = []store.Kind{store.KindCheck, store.KindStatus, store.KindStats}

func TestDecodeSaysWhatProtobufSays(t *testing.T) {
	for _, kind := range kinds {
		want := typical(kind)
		wire := wireOf(t, want)
		d := newDecoder()
		if rej := d.decode(kind, wire); rej.reason != accepted {
			t.Fatalf("%T: %v", want, rej)
		}
		if diff := cmp.Diff(want, message(t, &d.event), protocmp.Transform()); diff != "" {
			t.Errorf("%T (-want +got):\n%s", want, diff)
		}
		if d.repairs != 0 {
			t.Errorf("%T: repairs %b in an event that needs none", want, d.repairs)
		}
		if len(d.event.Body) == 0 || &d.event.Body[0] != &wire[bytes.Index(wire, d.event.Body)] {
			t.Errorf("%T: the body of an event that needs no repair was copied", want)
		}
	}
}

func TestDecodeOfATypicalEventDoesNotAllocate(t *testing.T) {
	for _, kind := range kinds {
		wire := wireOf(t, typical(kind))
		d := newDecoder()
		allocs := testing.AllocsPerRun(100, func() {
			if rej := d.decode(kind, wire); rej.reason != accepted {
				t.Fatal(rej)
			}
		})
		if allocs != 0 {
			t.Errorf("kind %d: %v allocations, want 0", kind, allocs)
		}
	}
}

// identity builds a HealthCheck with the given parts of its key.
func identityOf(service, version, node, id string) []byte {
	var n, s, b []byte
	n = protowire.AppendString(protowire.AppendTag(n, 1, protowire.BytesType), node)
	s = appendBytes(s, 1, []byte(service))
	s = appendBytes(s, 2, []byte(version))
	s = appendBytes(s, 3, n)
	b = appendBytes(b, 1, []byte(id))
	return appendBytes(b, 6, s)
}

func TestA1A2EventsWithoutIdentityAreRejected(t *testing.T) {
	long := strings.Repeat("x", 257)
	for name, c := range map[string]struct {
		wire []byte
		want reason
	}{
		"empty":                  {nil, noService},
		"no service":             {wireOf(t, &healthpb.HealthCheck{Id: "x"}), noService},
		"empty service":          {wireOf(t, &healthpb.HealthCheck{Id: "x", Service: &healthpb.Service{}}), noService},
		"no nodes":               {wireOf(t, &healthpb.HealthCheck{Id: "x", Service: &healthpb.Service{Name: "s"}}), noNode},
		"nil node":               {wireOf(t, &healthpb.HealthCheck{Id: "x", Service: &healthpb.Service{Name: "s", Nodes: []*healthpb.Node{nil}}}), noNode},
		"no id":                  {identityOf("s", "1", "n", ""), noID},
		"long name":              {identityOf(long[:129], "1", "n", "x"), badIdentity},
		"longest name":           {identityOf(long[:128], "1", "n", "x"), accepted},
		"long version":           {identityOf("s", long[:129], "n", "x"), badIdentity},
		"long node":              {identityOf("s", "1", long, "x"), badIdentity},
		"longest node":           {identityOf("s", "1", long[:256], "x"), accepted},
		"long id":                {identityOf("s", "1", "n", long), badIdentity},
		"longest id":             {identityOf("s", "1", "n", long[:256]), accepted},
		"newline in name":        {identityOf("s\n", "1", "n", "x"), badIdentity},
		"NUL in node":            {identityOf("s", "1", "\x00", "x"), badIdentity},
		"DEL in id":              {identityOf("s", "1", "n", "\x7f"), badIdentity},
		"control of Latin-1":     {identityOf("s", "1", "n", "\u0085"), badIdentity},
		"invalid UTF-8":          {identityOf("s", "1", "n\xff", "x"), badIdentity},
		"invalid UTF-8 name":     {identityOf("\xc3", "1", "n", "x"), badIdentity},
		"other letters are fine": {identityOf("ß", "日本", "n-é", "x y"), accepted},
		"no version is fine":     {identityOf("s", "", "n", "x"), accepted},
	} {
		d := newDecoder()
		if got := d.decode(store.KindCheck, c.wire); got.reason != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestA1StatusAndStatsWithoutServiceOrNodesAreRejected(t *testing.T) {
	services := map[reason]*healthpb.Service{
		noService: nil,
		noNode:    {Name: "s", Version: "1"},
	}
	for want, service := range services {
		for kind, m := range map[store.Kind]proto.Message{
			store.KindStatus: &healthpb.Status{Service: service},
			store.KindStats:  &healthpb.Stats{Service: service},
		} {
			d := newDecoder()
			if got := d.decode(kind, wireOf(t, m)); got.reason != want {
				t.Errorf("%T with service %v: %v, want %v", m, service, got, want)
			}
		}
	}
}

// A body must be such that every reader can decode it, or one event would spoil
// the answers about all others.
func TestA19TextIsCutAndRepaired(t *testing.T) {
	long := strings.Repeat("é", health.MaxText)
	m := typicalCheck()
	m.Description, m.Error = long, long
	m.Results = map[string]string{"k": long, strings.Repeat("k", 200): "v"}
	wire := wireOf(t, m)
	d := newDecoder()
	if rej := d.decode(store.KindCheck, wire); rej.reason != accepted {
		t.Fatal(rej)
	}
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

// A map of Go has no order on the wire, so it must not decide what is left out.
func TestA19ResultsLeftOutDoNotDependOnTheirOrder(t *testing.T) {
	m := typicalCheck()
	m.Results = make(map[string]string)
	for i := range 300 {
		m.Results[fmt.Sprintf("key-%03d", i)] = "v"
	}
	var first map[string]string
	for range 20 {
		wire, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		d := newDecoder()
		if rej := d.decode(store.KindCheck, wire); rej.reason != accepted {
			t.Fatal(rej)
		}
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

func TestA19ResultsInAllAreLimited(t *testing.T) {
	m := typicalCheck()
	m.Results = make(map[string]string)
	for i := range 20 {
		m.Results[fmt.Sprintf("key-%02d", i)] = strings.Repeat("v", health.MaxResultValue)
	}
	d := newDecoder()
	if rej := d.decode(store.KindCheck, wireOf(t, m)); rej.reason != accepted {
		t.Fatal(rej)
	}
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
func TestA3NoPieceOfTheBodyEscapesTheCheck(t *testing.T) {
	bad := []byte{0xff}
	entry := appendBytes(appendBytes(appendBytes(nil, 1, bad), 1, []byte("k")), 2, []byte("v"))
	endpoint := appendBytes(appendBytes(nil, 2, bad), 2, []byte("Method"))
	for name, c := range map[string]struct {
		kind store.Kind
		wire []byte
		want string
	}{
		"error twice":       {store.KindCheck, appendBytes(appendBytes(nil, 9, bad), 9, []byte("e")), `error:"e"`},
		"key twice":         {store.KindCheck, appendBytes(nil, 8, entry), `results:{key:"k"`},
		"info twice":        {store.KindStatus, appendBytes(appendBytes(nil, 3, bad), 3, []byte("i")), `info:"i"`},
		"method twice":      {store.KindStats, appendBytes(nil, 9, endpoint), `method:"Method"`},
		"memory in pieces":  {store.KindStats, appendBytes(appendBytes(nil, 6, nil), 6, appendUint(nil, 1, 5)), `max_rss:5`},
		"unknown in entry":  {store.KindCheck, appendBytes(nil, 8, appendBytes(nil, 5, bad)), `results:{key:""`},
		"body apart":        {store.KindCheck, append(appendUint(appendBytes(nil, 9, []byte("e")), 30, 1), appendBytes(nil, 8, nil)...), `error:"e"`},
		"unknown in cpu":    {store.KindStats, appendBytes(nil, 5, appendBytes(nil, 9, bad)), ``},
		"metrics in pieces": {store.KindStats, appendBytes(nil, 9, appendBytes(appendBytes(nil, 3, appendUint(nil, 1, 3)), 3, nil)), `count:3`},
	} {
		head := wireOf(t, &healthpb.Stats{Service: typicalCheck().Service})
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

func TestT62MetricsThatCannotBeAreZero(t *testing.T) {
	m := typicalStats()
	m.Endpoints = []*healthpb.Endpoint{{
		Method:  "A.B",
		Errors:  &healthpb.Metrics{Count: -1, Mean: math.NaN(), StdDev: math.Inf(1), Upper95: math.Inf(-1)},
		Success: &healthpb.Metrics{Count: 5, Mean: -1, StdDev: 2, Upper95: 3},
	}}
	d := newDecoder()
	if rej := d.decode(store.KindStats, wireOf(t, m)); rej.reason != accepted {
		t.Fatal(rej)
	}
	got := message(t, &d.event).(*healthpb.Stats)
	want := []*healthpb.Endpoint{{Method: "A.B", Success: &healthpb.Metrics{Count: 5, StdDev: 2, Upper95: 3}}}
	if diff := cmp.Diff(want, got.Endpoints, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !d.repairs.has(repairMetrics) {
		t.Error("not counted")
	}
}

func TestT62EndpointsBeyondTheLimitAreSummed(t *testing.T) {
	m := typicalStats()
	m.Endpoints = nil
	for i := range health.MaxEndpoints + 1 {
		p := &healthpb.Endpoint{Method: fmt.Sprint("M.", i)}
		if i >= health.MaxEndpoints-1 {
			p.Success = &healthpb.Metrics{Count: 10, Mean: float64(i), StdDev: 1, Upper95: float64(2 * i)}
		}
		m.Endpoints = append(m.Endpoints, p)
	}
	d := newDecoder()
	if rej := d.decode(store.KindStats, wireOf(t, m)); rej.reason != accepted {
		t.Fatal(rej)
	}
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

func TestT62TenThousandNodesCostNoMoreThanTheirBytes(t *testing.T) {
	m := typicalCheck()
	for i := range 10000 {
		m.Service.Nodes = append(m.Service.Nodes, &healthpb.Node{Id: fmt.Sprint("node-", i)})
	}
	wire := wireOf(t, m)
	d := newDecoder()
	allocs := testing.AllocsPerRun(10, func() {
		if rej := d.decode(store.KindCheck, wire); rej.reason != accepted {
			t.Fatal(rej)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
	if got := string(d.event.Node); got != typicalCheck().Service.Nodes[0].Id {
		t.Errorf("node %q, want the first", got)
	}
	if !d.repairs.has(repairNodes) {
		t.Error("not counted")
	}
}

func TestT62TruncatedEventsAreRejectedOrShorter(t *testing.T) {
	for _, kind := range kinds {
		wire := wireOf(t, typical(kind))
		for n := range wire {
			d := newDecoder()
			rej := d.decode(kind, wire[:n])
			if whole := typical(kind).ProtoReflect().New().Interface(); proto.Unmarshal(wire[:n], whole) != nil && rej.reason == accepted {
				t.Errorf("kind %d cut at %d: accepted what protobuf refuses", kind, n)
			}
		}
	}
}

func TestT62UnknownNumbersOfEnumsAreUnknown(t *testing.T) {
	for _, n := range []int32{4, 99, -1, math.MaxInt32, math.MinInt32} {
		check, status := typicalCheck(), typicalStatus()
		check.Status, status.Status = healthpb.HealthCheck_Status(n), healthpb.Status_Status(n)
		for kind, m := range map[store.Kind]proto.Message{store.KindCheck: check, store.KindStatus: status} {
			d := newDecoder()
			if rej := d.decode(kind, wireOf(t, m)); rej.reason != accepted || d.event.Status != 0 {
				t.Errorf("%T with %d: %v, status %d, want 0", m, n, rej, d.event.Status)
			}
			if !d.repairs.has(repairEnum) {
				t.Errorf("%T with %d: not counted", m, n)
			}
		}
	}
}

func TestFieldsFrom16OnOfPublishersAreIgnored(t *testing.T) {
	m := typicalCheck()
	m.Received, m.Since, m.Reported, m.Source, m.Missing, m.Skewed = 1, 2, 3, healthpb.HealthCheck_CONSUL, true, true
	d := newDecoder()
	if rej := d.decode(store.KindCheck, wireOf(t, m)); rej.reason != accepted {
		t.Fatal(rej)
	}
	if diff := cmp.Diff(proto.Message(typicalCheck()), message(t, &d.event), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d.event.Source != healthpb.HealthCheck_EVENT {
		t.Errorf("source %v, want EVENT", d.event.Source)
	}
}

func TestNodeKeepsAddressAndMetadata(t *testing.T) {
	m := typicalCheck()
	m.Service.Nodes[0].Address = "10.0.0.7:8080"
	m.Service.Nodes[0].Metadata = map[string]string{"zone": "a", "bad": "\u00e9"}
	d := newDecoder()
	if rej := d.decode(store.KindCheck, wireOf(t, m)); rej.reason != accepted {
		t.Fatal(rej)
	}
	if diff := cmp.Diff(proto.Message(m), message(t, &d.event), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m.Service.Nodes[0].Address = "bad\naddress"
	if rej := d.decode(store.KindCheck, wireOf(t, m)); rej.reason != accepted || len(d.event.Address) > 0 {
		t.Errorf("%v with address %q, want none", rej, d.event.Address)
	}
	if !d.repairs.has(repairAddress) {
		t.Error("not counted")
	}
}
