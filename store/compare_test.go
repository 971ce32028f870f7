package store

import (
	"fmt"
	"slices"
	"testing"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// keys returns the keys of a kind in order, with those that a plain Query hides
// only if asked for.
func (m *model) keys(kind Kind, hidden bool) (keys []modelKey) {
	for k, e := range m.entries {
		if k.kind == kind && (hidden || !e.hidden && e.judged != "MISSING") {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b modelKey) int { return a.key.compare(&b.key, 4) })
	return keys
}

func (e *modelEntry) String() string {
	judged := e.judged
	if judged == "MISSING" {
		judged = "UNKNOWN"
	}
	return fmt.Sprintf("%s (%d) %q body %q ts %d received %d since %d %s/%s source %d missing %t hidden %t skewed %t",
		judged, e.ev.Status, e.ev.Description, e.body, e.timestamp, e.received, e.since, e.interval, e.ttl, e.ev.Source,
		e.judged == "MISSING", e.hidden, e.skewed)
}

// compare fails if the store does not hold what the model holds.
func (m *model) compare(t testing.TB, s *Store) {
	t.Helper()
	m.advance()
	for _, hidden := range []bool{false, true} {
		q := Query{Missing: hidden}
		m.compareList(t, KindCheck, hidden, each(all(t, s.Checks, q), func(c Check) (key, string) {
			return key{c.Service, c.Version, c.Node, c.ID}, (&modelEntry{
				ev:   Event{Status: int32(c.Reported), Description: []byte(c.Description), Source: c.Source},
				body: c.body, timestamp: c.Timestamp, received: c.Received, since: c.Since,
				interval: c.Interval, ttl: c.TTL, skewed: c.Skewed, hidden: c.Stopped,
				judged: judgedAs(c.Status.String(), c.Missing),
			}).String()
		}))
		m.compareList(t, KindStatus, hidden, each(all(t, s.Nodes, q), func(n NodeStatus) (key, string) {
			return key{n.Service, n.Version, n.Node}, (&modelEntry{
				ev:   Event{Status: int32(n.Reported)},
				body: n.body, timestamp: n.Timestamp, received: n.Received, since: n.Since,
				interval: n.Interval, ttl: n.TTL, skewed: n.Skewed,
				judged: judgedAs(n.Status.String(), n.Missing),
			}).String()
		}))
		m.compareList(t, KindStats, hidden, each(all(t, s.Stats, q), func(n NodeStats) (key, string) {
			return key{n.Service, n.Version, n.Node}, fmt.Sprint(n.body, n.Timestamp, n.Received, n.Missing, n.Stopped, n.Skewed)
		}))
		m.compareSummary(t, s, hidden)
	}
	m.compareLog(t, s)
}

func judgedAs(status string, missing bool) string {
	if missing {
		return "MISSING"
	}
	return status
}

type listed struct {
	key  key
	text string
}

func each[T any](items []T, f func(T) (key, string)) (out []listed) {
	for _, item := range items {
		k, text := f(item)
		out = append(out, listed{k, text})
	}
	return out
}

func (m *model) compareList(t testing.TB, kind Kind, hidden bool, got []listed) {
	t.Helper()
	var want []listed
	for _, k := range m.keys(kind, hidden) {
		e := *m.entries[k]
		text := e.String()
		switch kind {
		case KindStatus:
			e.ev.Description, e.ev.Source = nil, 0
			text = e.String()
		case KindStats:
			text = fmt.Sprint(e.body, e.timestamp, e.received, e.judged == "MISSING", e.hidden, e.skewed)
		}
		want = append(want, listed{k.key, text})
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("kind %d, missing %t, item %d\n got %v\nwant %v", kind, hidden, i, from(got, i), from(want, i))
		}
	}
}

func from[T any](items []T, i int) []T { return items[min(i, len(items)):min(i+1, len(items))] }

// compareSummary compares the counts by version, and the nodes of each.
func (m *model) compareSummary(t testing.TB, s *Store, hidden bool) {
	t.Helper()
	counts, nodes := map[[2]string][4]int{}, map[[2]string][]string{}
	for k, e := range m.entries {
		if !hidden && (e.hidden || e.judged == "MISSING") {
			continue
		}
		v := [2]string{k.key[0], k.key[1]}
		if !slices.Contains(nodes[v], k.key[2]) {
			nodes[v] = append(nodes[v], k.key[2])
		}
		if k.kind == KindStatus {
			c := counts[v]
			c[healthpb.Status_Status_value[judgedAs(e.judged, false)]]++ // MISSING counts as 0, UNKNOWN
			counts[v] = c
		}
	}
	rows := all(t, s.Summary, Query{Missing: hidden})
	for _, row := range rows {
		if want := counts[[2]string{row.Service, row.Version}]; row.Counts != want || row.Status != worst(want) {
			t.Fatalf("summary of %s/%s: %s %v, want %v", row.Service, row.Version, row.Status, row.Counts, want)
		}
	}
	versions := all(t, s.Services, Query{Missing: hidden})
	for _, v := range versions {
		var got []string
		for _, n := range v.Nodes {
			got = append(got, n.ID)
		}
		want := nodes[[2]string{v.Service, v.Version}]
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("nodes of %s/%s, missing %t: %q, want %q", v.Service, v.Version, hidden, got, want)
		}
	}
	if len(rows) != len(counts) || len(versions) != len(nodes) {
		t.Fatalf("%d rows, %d versions, want %d, %d", len(rows), len(versions), len(counts), len(nodes))
	}
}

// compareLog compares the transitions of each key.
func (m *model) compareLog(t testing.TB, s *Store) {
	t.Helper()
	got := map[modelKey][]string{}
	for since, more := int64(0), true; more; {
		ts, next, _ := s.After(TransitionQuery{Limit: MaxLimit}, since)
		for _, x := range ts {
			k := modelKey{x.Kind, key{x.Service, x.Version, x.Node, x.ID}}
			got[k] = append(got[k], x.From+"->"+x.To+": "+x.Why)
		}
		since, more = next, len(ts) == MaxLimit
	}
	for k := range m.log {
		if !slices.Equal(got[k], m.log[k]) {
			t.Fatalf("transitions of %v\n got %q\nwant %q", k, got[k], m.log[k])
		}
	}
	if len(got) != len(m.log) {
		t.Fatalf("transitions of %d keys, want %d", len(got), len(m.log))
	}
}

// verify fails if the indexes, lists and counts of a store disagree.
func verify(t testing.TB, s *Store) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	held, uses := map[*entry]bool{}, 0
	visit := func(e *entry) bool {
		held[e] = true
		if e.kind == KindCheck {
			uses += 2
		}
		return true
	}
	for _, tr := range []*tree[*entry]{&s.checks, &s.statuses, &s.stats} {
		tr.walk(0, allClasses, visit)
		checkShape(t, tr.root)
	}
	if len(held) != s.entries() || s.checks.sums != s.checksByID.sums {
		t.Fatalf("%d entries are held, the trees count %d", len(held), s.entries())
	}
	linked := 0
	lists := append(slices.Clone(s.wheel.slots[:]), s.missing, s.retired)
	for _, l := range lists {
		for e := l.head; e != nil; e = e.next {
			if linked++; !held[e] {
				t.Fatal("a list holds an entry that the trees do not")
			}
		}
	}
	if linked != len(held) {
		t.Fatalf("%d entries are in lists, want %d", linked, len(held))
	}
	for e := range s.marks {
		if !held[e] {
			t.Fatal("a mark is left of an entry that is not held")
		}
	}
	for _, x := range s.texts.table.m {
		uses -= x.uses
	}
	if uses != 0 {
		t.Fatalf("%d uses of texts too few", uses)
	}
	verifyNodes(t, s, held)
}

func verifyNodes(t testing.TB, s *Store, held map[*entry]bool) {
	t.Helper()
	nodes := map[*node][2]int32{}
	services, trusted := map[*service][2]int{}, map[*service][2]int{}
	for e := range held {
		x := e.indexed()
		c := nodes[e.node]
		nodes[e.node] = [2]int32{c[0] + one(x.listed), c[1] + one(x.pinned)}
		v := services[e.node.version.service]
		services[e.node.version.service] = [2]int{v[0] + 1, v[1] + int(one(x.pinned))}
	}
	ids := map[string]int{}
	s.nodes.walk(0, allClasses, func(n *node) bool {
		ids[n.id]++
		v := trusted[n.version.service]
		trusted[n.version.service] = [2]int{v[0] + int(one(n.believed)), v[1] + int(one(n.proven))}
		return true
	})
	s.nodes.walk(0, allClasses, func(n *node) bool {
		if got := [2]int32{n.listed, n.pinned}; got != nodes[n] {
			t.Fatalf("node %q counts %v, want %v", n.id, got, nodes[n])
		}
		if n.conflict != (ids[n.id] > 1) {
			t.Fatalf("node %q: conflict %t, of %d nodes with that id", n.id, n.conflict, ids[n.id])
		}
		return true
	})
	if got := s.nodes.count(allClasses); got != len(nodes) || s.nodesByID.count(allClasses) != got {
		t.Fatalf("%d nodes, want %d", got, len(nodes))
	}
	for sv, want := range services {
		if got := [2]int{sv.entries, sv.pinned}; got != want {
			t.Fatalf("service %q counts %v, want %v", sv.name, got, want)
		}
		if got := [2]int{sv.believed, sv.proven}; got != trusted[sv] {
			t.Fatalf("service %q has %v believed and proven nodes, want %v", sv.name, got, trusted[sv])
		}
	}
	if got := s.services.count(allClasses); got != len(services) || len(s.byName.m) != got {
		t.Fatalf("%d services, want %d", got, len(services))
	}
}
