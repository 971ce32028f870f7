package ingest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/wire"
)

// identity builds a HealthCheck with the given parts of its key.
func identityOf(service, version, node, id string) []byte {
	var n, s, b []byte
	n = protowire.AppendString(protowire.AppendTag(n, 1, protowire.BytesType), node)
	s = wire.AppendBytes(s, 1, []byte(service))
	s = wire.AppendBytes(s, 2, []byte(version))
	s = wire.AppendBytes(s, 3, n)
	b = wire.AppendBytes(b, 1, []byte(id))
	return wire.AppendBytes(b, 6, s)
}

// Faults: A1, A2, S13.
func TestEventsWithoutIdentityAreRejected(t *testing.T) {
	long := strings.Repeat("x", 257)
	for name, c := range map[string]struct {
		wire []byte
		want reason
	}{
		"empty":                  {nil, noService},
		"no service":             {eventtest.Wire(t, &healthpb.HealthCheck{Id: "x"}), noService},
		"empty service":          {eventtest.Wire(t, &healthpb.HealthCheck{Id: "x", Service: &healthpb.Service{}}), noService},
		"no nodes":               {eventtest.Wire(t, &healthpb.HealthCheck{Id: "x", Service: &healthpb.Service{Name: "s"}}), noNode},
		"nil node":               {eventtest.Wire(t, &healthpb.HealthCheck{Id: "x", Service: &healthpb.Service{Name: "s", Nodes: []*healthpb.Node{nil}}}), noNode},
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
		"not NFC":                {identityOf("s", "1", "n", "cafe\u0301"), badIdentity},
		"direction":              {identityOf("s", "1", "n", "right\u202eleft"), badIdentity},
		"zero width":             {identityOf("s\u200b", "1", "n", "x"), badIdentity},
		"line separator":         {identityOf("s", "1\u2028", "n", "x"), badIdentity},
		"byte order mark":        {identityOf("s", "1", "\ufeffn", "x"), badIdentity},
		"replaced character":     {identityOf("s", "1", "n", "\ufffd"), badIdentity},
		"no version is fine":     {identityOf("s", "", "n", "x"), accepted},
	} {
		d := newDecoder()
		if got := d.decode(store.KindCheck, c.wire); got.reason != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Faults: A1.
func TestStatusAndStatsWithoutServiceOrNodesAreRejected(t *testing.T) {
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
			if got := d.decode(kind, eventtest.Wire(t, m)); got.reason != want {
				t.Errorf("%T with service %v: %v, want %v", m, service, got, want)
			}
		}
	}
}

func TestNodeKeepsAddressAndMetadata(t *testing.T) {
	m := eventtest.Check()
	m.Service.Nodes[0].Address = "10.0.0.7:8080"
	m.Service.Nodes[0].Metadata = map[string]string{"zone": "a", "bad": "\u00e9"}
	d := decoded(t, store.KindCheck, eventtest.Wire(t, m))
	if diff := cmp.Diff(proto.Message(m), message(t, &d.event), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m.Service.Nodes[0].Address = "bad\naddress"
	if rej := d.decode(store.KindCheck, eventtest.Wire(t, m)); rej.reason != accepted || len(d.event.Address) > 0 {
		t.Errorf("%v with address %q, want none", rej, d.event.Address)
	}
	if !d.repairs.has(repairAddress) {
		t.Error("not counted")
	}
}

func TestMetadataOfANodeIsBounded(t *testing.T) {
	c := eventtest.Check()
	c.Service.Nodes[0].Metadata = map[string]string{"a": "short", "b": strings.Repeat("x", 2*maxMetadata)}
	v := newView()
	v.feedMessages(t, c)
	rsp := new(monitorpb.ServicesResponse)
	if err := v.monitor().Services(t.Context(), &monitorpb.ServicesRequest{}, rsp); err != nil {
		t.Fatal(err)
	}
	node := rsp.Services[0].Nodes[0]
	if node.Metadata["a"] != "short" || proto.Size(node) > maxMetadata+200 {
		t.Errorf("metadata of %d bytes with a = %q", proto.Size(node), node.Metadata["a"])
	}
}

// The echo of our own events is no news, and what others say in our name is not believed.
// Faults: S6.
func TestEventsAboutTheOwnNodeAreTakenFromInjectOnly(t *testing.T) {
	var log testkit.LogBuffer
	st := store.New(store.Config{Own: "own"})
	events := NewEvents(Config{Store: st, Own: "own", Log: log.Logger()})
	v := &view{st, events}
	forged := eventtest.Check()
	forged.Service.Nodes[0].Id, forged.Status = "own", healthpb.HealthCheck_ERROR
	stopped := eventtest.Status()
	stopped.Service.Nodes[0].Id, stopped.Status = "own", healthpb.Status_STOPPED
	elsewhere := eventtest.Check()
	elsewhere.Service = &healthpb.Service{Name: "other", Version: "9", Nodes: []*healthpb.Node{{Id: "own"}}}
	v.feedMessages(t, forged, stopped, elsewhere)
	v.feed(store.KindCheck, "application/json", []byte(`{"id":"x","service":"s","node":"own"}`))
	if c := st.Counters(); c.Checks+c.Statuses != 0 {
		t.Errorf("the store holds %d checks and %d statuses", c.Checks, c.Statuses)
	}
	if n := events.Counters().Rejected["own_node"]; n != 4 {
		t.Errorf("%d events about the own node were counted, want 4", n)
	}
	if log.String() != "" {
		t.Errorf("the echo of our own events is logged: %s", &log)
	}
	forged.Status = healthpb.HealthCheck_OK
	if err := events.Inject(health.TopicHealthCheck, forged); err != nil {
		t.Fatal(err)
	}
	events.put(events.queue.take(make([]*item, 0, batchCount)))
	if c := st.Counters(); c.ChecksByStatus[healthpb.HealthCheck_OK] != 1 {
		t.Errorf("%v checks by status after an event of our own", c.ChecksByStatus)
	}
}

// Faults: C25.
func TestRejectionsNameTheirPublisher(t *testing.T) {
	var log testkit.LogBuffer
	v := &view{store.New(store.Config{}), NewEvents(Config{Store: store.New(store.Config{}), Log: log.Logger()})}
	v.feed(store.KindCheck, "application/json", []byte(`{"id":"x","status":"flaky\n","service":"s","node":"n\u001b[1m"}`))
	for _, want := range []string{`topic=micro.monitor.healthcheck`, `reason=bad_value`, `service=s`, `node=n[1m`, `flaky`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in %s", want, &log)
		}
	}
}
