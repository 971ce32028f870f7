package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// TestCursorWalksThroughChanges: what stays is shown exactly once, and nothing
// twice, while as much again comes and goes around it.
// Faults: T65.
func TestCursorWalksThroughChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, q := range []Query{{}, {Service: "svc-1"}, {ID: "id-003"}, {Node: "node-2"}} {
			s := New(Config{Retention: tick})
			rnd := rand.New(rand.NewPCG(1, 1))
			scatter(t, s, 1000)
			stays := map[string]bool{}
			for _, c := range all(t, s.Checks, q) {
				stays[fmt.Sprint(c.Service, c.Version, c.Node, c.ID)] = true
			}
			seen := map[string]int{}
			q.Missing = true
			for q.Limit = 3; ; {
				p, err := s.Checks(q)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range p.Items {
					seen[fmt.Sprint(c.Service, c.Version, c.Node, c.ID)]++
				}
				if q.Cursor = p.Next; q.Cursor == "" {
					break
				}
				for range 5 { // new ones that soon vanish, the last of the page among them
					ev := check(fmt.Sprint("node-", rnd.IntN(13)), fmt.Sprintf("id-003-%d", rnd.IntN(1e6)), ok, 0).
						of(fmt.Sprint("svc-", rnd.IntN(6)), "0")
					ev.Interval, ev.TTL = 1, 1
					mustPut(t, s, Accepted, ev)
				}
				sleepTicks(1)
			}
			for k := range stays {
				if seen[k] != 1 {
					t.Errorf("%+v: %s was shown %d times", q, k, seen[k])
				}
			}
			for k, n := range seen {
				if n > 1 {
					t.Errorf("%+v: %s was shown %d times", q, k, n)
				}
			}
		}
	})
}

// TestCursorOutlivesItsKey: the last item of the page goes away.
// Faults: T65.
func TestCursorOutlivesItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Retention: tick})
		for _, id := range []string{"a", "b", "c", "d"} {
			ev := check("n", id, ok, 0)
			if id == "b" {
				ev.Interval, ev.TTL = 1, 1
			}
			mustPut(t, s, Accepted, ev)
		}
		p, err := s.Checks(Query{Limit: 2})
		if err != nil || p.Items[1].ID != "b" {
			t.Fatalf("%+v, %v", p, err)
		}
		sleepTicks(20)
		s.advance() // missing
		sleepTicks(1)
		if p, err := s.Checks(Query{Limit: 2, Cursor: p.Next}); err != nil || len(p.Items) != 2 || p.Items[0].ID != "c" || p.Next != "" {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err := s.Checks(Query{ID: "b"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("the key is still there: %v", err)
		}
	})
}

func TestBadCursor(t *testing.T) {
	s := still(Config{})
	scatter(t, s, 100)
	p, err := s.Checks(Query{})
	if err != nil || p.Next == "" {
		t.Fatal(p, err)
	}
	flipped := []byte(p.Next)
	flipped[8] ^= 1
	for _, cursor := range []string{"x", "!!!", "AAAA", string(flipped), p.Next + "A", p.Next[1:], strings.Repeat("A", 10000)} {
		if _, err := s.Checks(Query{Cursor: cursor}); !errors.Is(err, ErrBadCursor) {
			t.Errorf("%.20q: %v, want ErrBadCursor", cursor, err)
		}
	}
	for name, list := range map[string]func(Query) (int, error){
		"nodes": count(s.Nodes), "stats": count(s.Stats), "services": count(s.Services), "summary": count(s.Summary),
	} {
		if _, err := list(Query{Cursor: p.Next}); !errors.Is(err, ErrBadCursor) {
			t.Errorf("%s took a cursor of checks: %v", name, err)
		}
	}
	if _, err := s.Checks(Query{Cursor: p.Next, ID: "id-000"}); !errors.Is(err, ErrBadCursor) {
		t.Errorf("another order took the cursor: %v", err)
	}
}

// FuzzPaging asks for any page, and follows any cursor.
// Faults: T65.
func FuzzPaging(f *testing.F) {
	s := still(Config{})
	scatter(f, s, 300)
	every := all(f, s.Checks, Query{})
	f.Add(uint8(0), 10, 5, "")
	f.Add(uint8(0xff), -1, math.MaxInt, "AXN2")
	f.Add(uint8(3), math.MinInt, 1<<32, every[0].ID)
	for i, list := range []listing{listChecks, listChecksByID, listNodes} {
		f.Add(uint8(i), 7, 0, list.encode(key{"svc-2", "1", "node-5", "id-001"}))
	}
	f.Fuzz(func(t *testing.T, filter uint8, limit, offset int, cursor string) {
		q := Query{Limit: limit, Offset: offset}
		q.Service = []string{"", "svc-1", "svc-4", "none"}[filter&3]
		q.Node = []string{"", "node-7", "none", ""}[filter>>2&3]
		q.ID = []string{"", "id-001", "none", ""}[filter>>4&3]
		q.Statuses = [][]healthpb.HealthCheck_Status{nil, {1}, {0, 2}, {9}}[filter>>6]
		var want []Check
		for _, c := range every {
			if q.selects(c) {
				want = append(want, c)
			}
		}
		p, err := s.Checks(q)
		if missed := q.Service == "none" || q.Node == "none" || q.ID == "none"; missed != errors.Is(err, ErrNotFound) || !missed && err != nil {
			t.Fatalf("%+v: %v", q, err)
		} else if missed {
			return
		}
		n := limit
		if n <= 0 {
			n = DefaultLimit
		}
		at := min(max(offset, 0), len(want))
		if rest := want[at:]; p.Total != len(want) || !slices.Equal(p.Items, rest[:min(n, MaxLimit, len(rest))]) {
			t.Fatalf("%+v: %d of %d", q, len(p.Items), p.Total)
		}
		if (p.Next == "") != (at+len(p.Items) == len(want) || len(p.Items) == 0) {
			t.Fatalf("%+v: next is %q after %d of %d", q, p.Next, at+len(p.Items), len(want))
		}
		q.Cursor = cursor
		list := listChecks
		if q.ID != "" && q.Node == "" {
			list = listChecksByID
		}
		k, bad := list.decode(cursor)
		if p, err = s.Checks(q); cursor == "" || bad != nil {
			if cursor != "" && !errors.Is(err, ErrBadCursor) {
				t.Fatalf("cursor %q: %v", cursor, err)
			}
			return
		}
		if list.encode(k) != cursor || p.Total != len(want) {
			t.Fatalf("cursor %q is read as %q, total %d", cursor, k, p.Total)
		}
		for _, c := range p.Items {
			if got := (key{c.Service, c.Version, c.Node, c.ID}); list == listChecks && got.compare(&k, 4) <= 0 {
				t.Fatalf("after %q comes %q", k, got)
			}
		}
	})
}

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
			Reported: healthpb.HealthCheck_ERROR, StatusName: "UNKNOWN",
		}
		wantProto(t, theCheck(t, s, Query{}).Proto(), wantCheck)
		wantProto(t, theNode(t, s, Query{}).Proto(), &healthpb.Status{
			Service: service, Info: "fine", Timestamp: now, Interval: 10, Ttl: 3600, Received: now, Since: now + 20,
			Reported: healthpb.Status_RUNNING, StatusName: "UNKNOWN",
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
			Service: service, Timestamp: now, Received: now, Since: now + 20, UnknownNodes: 1, StatusName: "UNKNOWN",
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
