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
			return key{n.Service, n.Version, n.Node}, fmt.Sprint(n.body, n.Timestamp, n.Received, n.Missing, n.Skewed)
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
			text = fmt.Sprint(e.body, e.timestamp, e.received, e.judged == "MISSING", e.skewed)
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
