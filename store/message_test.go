package store

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// FuzzAppendWire compares what AppendWire and AppendJSON write with the message of
// Proto.
func FuzzAppendWire(f *testing.F) {
	f.Add("a", "1", "n", "ping", "about", "10.0.0.1:80", "key", "value", "error", uint16(0xffff), int64(1))
	f.Add("a", "", "n", "p", "", "", "", "", "", uint16(0), int64(0))
	f.Add(strings.Repeat("long", 100), "1", "n", "p", "", "", "", strings.Repeat("x", 5000), "", uint16(3), int64(-1))
	f.Fuzz(func(t *testing.T, service, version, node, id, description, address, k, v, text string, bits uint16, n int64) {
		valid := func(s *string) { *s = strings.ToValidUTF8(*s, "") }
		for _, s := range []*string{&service, &version, &node, &id, &description, &address, &k, &v, &text} {
			valid(s)
		}
		if service == "" || node == "" || id == "" {
			return
		}
		body := &healthpb.HealthCheck{Error: text}
		metadata := &healthpb.Node{}
		if k != "" {
			body.Results = map[string]string{k: v, v: k}
			metadata.Metadata = map[string]string{k: v, "x": ""}
		}
		c := Check{
			Service: service, Version: version, Node: node, ID: id, Description: description, Address: address,
			Status: healthpb.HealthCheck_Status(bits % 4), Reported: healthpb.HealthCheck_Status(bits / 4 % 4),
			Source:    healthpb.HealthCheck_Source(bits / 16 % 3),
			Timestamp: n, Received: n / 2, Since: n / 3,
			Interval: time.Duration(bits) * time.Second, TTL: time.Duration(n%1e9) * time.Second,
			Missing: bits&64 != 0, Stopped: bits&128 != 0, Skewed: bits&256 != 0,
			body: string(marshal(t, body)), metadata: string(marshal(t, metadata)),
		}
		want := c.Proto()
		got := &healthpb.HealthCheck{}
		prefix := []byte("before")
		b := c.AppendWire(prefix)
		if string(b[:len(prefix)]) != "before" {
			t.Fatal("what was there before is overwritten")
		}
		if err := proto.Unmarshal(b[len(prefix):], got); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
		if len(b)-len(prefix) != proto.Size(want) {
			t.Fatalf("%d bytes, want %d", len(b)-len(prefix), proto.Size(want))
		}
		if more := c.Size() - proto.Size(want); more < -64 || more > 64 {
			t.Fatalf("size %d, want about %d", c.Size(), proto.Size(want))
		}
		wantJSON, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.AppendJSON(prefix); string(got) != "before"+string(wantJSON) {
			t.Fatalf("got  %s\nwant %s", got, wantJSON)
		}
	})
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAnswersAsMessages shows every field of each kind of answer.
func TestAnswersAsMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		service := &healthpb.Service{Name: "a", Version: "1", Id: "n", Nodes: []*healthpb.Node{{
			Id: "n", Address: "10.0.0.1:80", Metadata: map[string]string{"zone": "eu"},
		}}}
		now := unix() // the clock of synctest begins with a whole second
		full := func(ev *Event, body proto.Message) *Event {
			ev.Address, ev.Body = []byte("10.0.0.1:80"), marshal(t, body)
			ev.Metadata = marshal(t, &healthpb.Node{Metadata: map[string]string{"zone": "eu"}})
			return ev
		}
		mustPut(t, s, Accepted,
			full(check("n", "ping", failing, now-400), &healthpb.HealthCheck{Results: map[string]string{"foo": "bar"}, Error: "down"}),
			full(status("n", running, now), &healthpb.Status{Info: "fine"}),
			full(stats("n", now), &healthpb.Stats{Cpu: &healthpb.CPU{UserTime: 7}, Endpoints: []*healthpb.Endpoint{{Method: "M"}}}))
		time.Sleep(20 * time.Second)
		wantCheck := &healthpb.HealthCheck{
			Id: "ping", Description: "about ping", Timestamp: now - 400, Interval: 10, Ttl: 3600, Service: service,
			Results: map[string]string{"foo": "bar"}, Error: "down", Skewed: true, Received: now, Since: now + 20,
			Reported: healthpb.HealthCheck_ERROR,
		}
		wantProto(t, theCheck(t, s, Query{}).Proto(), wantCheck)
		wantProto(t, theNode(t, s, Query{}).Proto(), &healthpb.Status{
			Service: service, Info: "fine", Timestamp: now, Interval: 10, Ttl: 3600, Received: now, Since: now + 20,
			Reported: healthpb.Status_RUNNING,
		})
		p, err := s.Stats(Query{})
		if err != nil || len(p.Items) != 1 {
			t.Fatal(p, err)
		}
		wantProto(t, p.Items[0].Proto(), &healthpb.Stats{
			Service: service, Timestamp: now, Interval: 10, Ttl: 3600, Received: now,
			Cpu: &healthpb.CPU{UserTime: 7}, Endpoints: []*healthpb.Endpoint{{Method: "M"}},
		})
		v, err := s.Services(Query{})
		if err != nil || len(v.Items) != 1 {
			t.Fatal(v, err)
		}
		service.Id = ""
		wantProto(t, v.Items[0].Proto(), service)
		m, err := s.Summary(Query{})
		if err != nil || len(m.Items) != 1 {
			t.Fatal(m, err)
		}
		service.Nodes = nil
		wantProto(t, m.Items[0].Proto(), &healthpb.Status{
			Service: service, Timestamp: now, Received: now, Since: now + 20, UnknownNodes: 1,
		})
		time.Sleep(time.Hour)
		service.Id = "n"
		if m := theCheck(t, s, Query{Missing: true}).Proto(); !m.Missing || m.Since != now+20 || m.Error != "down" {
			t.Errorf("the missing check is %v", m)
		}
	})
}

func wantProto(t *testing.T, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestABrokenBodySpoilsNothingElse: it should have been refused before.
func TestABrokenBodySpoilsNothingElse(t *testing.T) {
	s := New(Config{})
	ev := check("n", "ping", ok, 0)
	ev.Body, ev.Metadata = []byte("\x4a\xff"), []byte("\x1a\xff")
	mustPut(t, s, Accepted, ev)
	c := theCheck(t, s, Query{})
	m := c.Proto()
	if m.Id != "ping" || m.Service.Nodes[0].Id != "n" || len(m.Results) != 0 {
		t.Errorf("the message is %v", m)
	}
	want, err := json.Marshal(m)
	if got := c.AppendJSON(nil); err != nil || string(got) != string(want) {
		t.Errorf("the JSON is %s, want %s", got, want)
	}
}
