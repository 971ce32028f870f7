package store

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// model does what a store does by looking at everything all the time. It knows
// no caps, no indexes and no wheel.
type model struct {
	start   time.Time
	entries map[modelKey]*modelEntry
	log     map[modelKey][]string // transitions by key
	retain  time.Duration
}

type modelKey struct {
	kind Kind
	key
}

type modelEntry struct {
	ev              Event
	body            string
	arrival         time.Duration // of the event, or of the revival
	received, since int64
	timestamp       int64
	interval, ttl   time.Duration
	skewed          bool
	judged          string // status, or MISSING
	silent          bool
	hidden          bool // a check of a stopped node
	retired         bool // a status STOPPED after its ttl
	goneAt          time.Duration
	mark            *mark
}

func newModel() *model {
	return &model{
		start: time.Now(), retain: 24 * time.Hour,
		entries: map[modelKey]*modelEntry{}, log: map[modelKey][]string{},
	}
}

func keyOf(ev *Event) modelKey {
	k := modelKey{ev.Kind, key{string(ev.Service), string(ev.Version), string(ev.Node)}}
	if ev.Kind == KindCheck {
		k.key[3] = string(ev.ID)
	}
	return k
}

func statusName(kind Kind, status int32) string {
	if kind == KindStatus {
		return healthpb.Status_Status(status).String()
	}
	return healthpb.HealthCheck_Status(status).String()
}

func (m *model) note(k modelKey, from, to, why string) {
	if k.kind != KindStats && (from != to || why == "first report") {
		m.log[k] = append(m.log[k], from+"->"+to+": "+why)
	}
}

func (m *model) judge(k modelKey, e *modelEntry, to string, why string) {
	m.note(k, e.judged, to, why)
	is := func(s string) string {
		if s == "MISSING" {
			return "UNKNOWN"
		}
		return s
	}
	if is(e.judged) != is(to) {
		e.since = time.Now().Unix()
	}
	e.judged = to
}

func (m *model) stopSaid(k modelKey) bool {
	e := m.entries[modelKey{KindStatus, key{k.key[0], k.key[1], k.key[2]}}]
	return e != nil && e.ev.Status == isStopped
}

// advance judges everything as of now.
func (m *model) advance() {
	now := time.Since(m.start)
	var gone []modelKey // once all are judged
	for k, e := range m.entries {
		age := now - e.arrival
		fresh := e.interval + max(e.interval/2, 2*time.Second)
		quiet, over := age >= fresh, age >= max(e.ttl, fresh)
		past := (age / time.Second * time.Second).String()
		switch {
		case e.judged == "MISSING" || e.retired:
			if now >= e.goneAt {
				gone = append(gone, k)
			}
			continue
		case k.kind == KindStatus && e.ev.Status == isStopped:
			if over {
				e.retired, e.goneAt = true, now+m.retain
			}
			continue
		case k.kind == KindCheck && quiet && !e.silent && m.stopSaid(k):
			e.hidden = true
		case quiet && !e.silent && !e.hidden && k.kind != KindStats:
			e.silent = true
			why := "silent"
			if e.mark != nil {
				why = "only events older than the newest"
			}
			m.judge(k, e, "UNKNOWN", fmt.Sprintf("%s for %s (interval %s)", why, past, e.interval))
		}
		if over && e.hidden {
			gone = append(gone, k)
		} else if over {
			m.judge(k, e, "MISSING", fmt.Sprintf("missing: silent for %s (ttl %s)", past, e.ttl))
			e.goneAt = now + m.retain
		}
	}
	for _, k := range gone {
		switch e := m.entries[k]; {
		case e.judged == "MISSING":
			m.note(k, "MISSING", "FORGOTTEN", "forgotten: missing for 24h0m0s")
		case e.retired:
			past := ((now - e.arrival) / time.Second * time.Second).String()
			m.note(k, "STOPPED", "FORGOTTEN", "forgotten: stopped for "+past)
		}
		delete(m.entries, k)
	}
}

// put takes an event, which is not kept by the caller.
func (m *model) put(ev Event) Outcome {
	m.advance()
	now, unix := time.Since(m.start), time.Now().Unix()
	ts, skewed := ev.Timestamp, false
	if ts <= 0 {
		ts = unix
	} else if ts > unix && ts-unix > 300 {
		ts, skewed = unix, true
	} else if ts < unix-300 {
		skewed = true
	}
	k := keyOf(&ev)
	e := m.entries[k]
	if e != nil && ts < e.timestamp && !e.stepped(ts, now) {
		return Stale
	}
	first := e == nil
	if first {
		e = &modelEntry{judged: "UNKNOWN", since: unix}
		m.entries[k] = e
	}
	wasStopped := m.stopSaid(k) && !first
	interval, ttl := ev.Interval, ev.TTL
	if interval <= 0 {
		interval = 60
	}
	if ttl <= 0 {
		ttl = 3600
	}
	if ev.Kind == KindStats {
		ev.Status = 0
	}
	e.ev, e.body = ev, string(ev.Body)
	e.arrival, e.received, e.timestamp, e.skewed = now, unix, ts, skewed
	e.interval = time.Duration(min(interval, 3600)) * time.Second
	e.ttl = time.Duration(min(ttl, 86400)) * time.Second
	e.silent, e.hidden, e.retired, e.mark = false, false, false, nil
	if first {
		m.note(k, "UNKNOWN", statusName(k.kind, ev.Status), "first report")
		e.judged = statusName(k.kind, ev.Status)
	} else {
		m.judge(k, e, statusName(k.kind, ev.Status), "reported")
	}
	if k.kind == KindStatus {
		m.nodeSaid(k, ev.Status == isStopped, wasStopped, now)
	}
	return Accepted
}

// nodeSaid hides or shows the checks of a node.
func (m *model) nodeSaid(k modelKey, stop, wasStopped bool, now time.Duration) {
	for ck, c := range m.entries {
		if ck.kind != KindCheck || ck.key.compare(&k.key, 3) != 0 || c.judged == "MISSING" {
			continue
		}
		if stop && c.silent {
			c.silent, c.hidden = false, true
		}
		if !stop && wasStopped && c.hidden {
			c.hidden, c.arrival = false, now
		}
	}
}

func (e *modelEntry) stepped(ts int64, now time.Duration) bool {
	if e.mark != nil {
		ahead, passed := ts-e.mark.timestamp, now-e.mark.arrival
		diff := time.Duration(ahead)*time.Second - passed
		if ahead > 0 && diff.Abs() <= max(2*time.Second, e.interval/2) {
			return passed >= e.interval/2
		}
	}
	e.mark = &mark{ts, now}
	return false
}

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
	services := map[*service][2]int{}
	for e := range held {
		x := e.standing()
		c := nodes[e.node]
		nodes[e.node] = [2]int32{c[0] + one(x.listed), c[1] + one(x.kept)}
		v := services[e.node.version.service]
		services[e.node.version.service] = [2]int{v[0] + 1, v[1] + int(one(x.kept))}
	}
	ids := map[string]int{}
	s.nodes.walk(0, allClasses, func(n *node) bool { ids[n.id]++; return true })
	s.nodes.walk(0, allClasses, func(n *node) bool {
		if got := [2]int32{n.listed, n.kept}; got != nodes[n] {
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
		if got := [2]int{sv.entries, sv.kept}; got != want {
			t.Fatalf("service %q counts %v, want %v", sv.name, got, want)
		}
	}
	if got := s.services.count(allClasses); got != len(services) || len(s.byName.m) != got {
		t.Fatalf("%d services, want %d", got, len(services))
	}
}

// cmpKeys orders checks as a page does.
func cmpKeys(a, b Check) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Version, b.Version),
		cmp.Compare(a.Node, b.Node), cmp.Compare(a.ID, b.ID))
}
