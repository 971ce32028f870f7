package store

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

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
