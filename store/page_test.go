package store

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

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
