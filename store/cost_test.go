package store

import (
	"fmt"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// TestAnEntryTakesAtMost400Bytes of heap, everything included.
func TestAnEntryTakesAtMost400Bytes(t *testing.T) {
	f := newFleet(2000, 10)
	s := still(roomy())
	empty := testkit.HeapInUse()
	f.fill(s)
	each := float64(testkit.HeapInUse()-empty) / float64(f.size())
	t.Logf("%.0f bytes", each)
	if each > 400 {
		t.Errorf("an entry takes %.0f bytes, want at most 400", each)
	}
	f.fill(s) // keeps both alive
}

// TestPutOfAKnownKeyAllocatesTheBodyOnly, and nothing at all if that is the same.
func TestPutOfAKnownKeyAllocatesTheBodyOnly(t *testing.T) {
	s := still(Config{})
	ev := check("n", "ping", ok, 0)
	i := 0
	for _, tc := range []struct {
		name   string
		change func()
		want   float64
	}{
		{"the same", func() {}, 0},
		{"a new body", func() { ev.Body = fmt.Appendf(ev.Body[:0], "%020d", i) }, 1},
	} {
		if got := testing.AllocsPerRun(100, func() {
			i++
			tc.change()
			s.Put(ev)
		}); got > tc.want+0.5 {
			t.Errorf("%s: %.1f allocations, want %.0f", tc.name, got, tc.want)
		}
	}
}

// TestQueriesLookAtFewEntries: neither a page nor a Put looks at more than
// what it shows and a path through the trees, however much is held.
// Faults: A14.
func TestQueriesLookAtFewEntries(t *testing.T) {
	const page = 100
	f := newFleet(3000, 10)
	s := still(roomy())
	f.fill(s)
	looks := 0
	count := func(t *tree[*entry]) {
		keyOf := t.keyOf
		t.keyOf = func(e *entry) key { looks++; return keyOf(e) }
	}
	count(&s.checks)
	count(&s.checksByID)
	ask := func(q Query) func() {
		return func() { q.Limit = page; mustSome(t, s, q) }
	}
	id, service := f.ids[3], f.services[42]
	healthy := []healthpb.HealthCheck_Status{healthpb.HealthCheck_OK}
	cursor := mustSome(t, s, Query{Limit: page, Offset: 15000}).Next
	for name, op := range map[string]func(){
		"all":         ask(Query{Offset: 20000}),
		"cursor":      ask(Query{Cursor: cursor}),
		"service":     ask(Query{Service: service, Offset: 100}),
		"status":      ask(Query{Statuses: healthy, Offset: 20000}),
		"id":          ask(Query{ID: id, Offset: 2000}),
		"combination": ask(Query{ID: id, Service: service, Statuses: healthy}),
		"node":        ask(Query{Node: f.nodes[7], Statuses: healthy}),
		"known key": func() {
			var ev Event
			f.set(&ev, 12345, 1)
			s.Put(&ev)
		},
		"new status": func() {
			var ev Event
			f.set(&ev, 23456, 1)
			ev.Status = failing
			s.Put(&ev)
		},
	} {
		looks = 0
		if op(); looks > 100 {
			t.Errorf("%s: looked at %d keys of %d", name, looks, f.size())
		}
		if name == "known key" && looks > 0 {
			t.Errorf("%s: looked at %d keys, want none", name, looks)
		}
	}
}

func mustSome(t testing.TB, s *Store, q Query) Page[Check] {
	t.Helper()
	p, err := s.Checks(q)
	if err != nil || len(p.Items) == 0 {
		t.Fatalf("%+v: %+v, %v", q, p, err)
	}
	return p
}
