package store

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// scatter puts n checks of a few services in an order of their own.
func scatter(t testing.TB, s *Store, n int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(11, uint64(n)))
	for _, i := range rnd.Perm(n) {
		ev := check(fmt.Sprint("node-", i/10%13), fmt.Sprintf("id-%03d", i/130), int32(i%4), 0).
			of(fmt.Sprint("svc-", i%5), fmt.Sprint(i/5%2))
		ev.Source = healthpb.HealthCheck_Source(i / 7 % 3)
		mustPut(t, s, Accepted, ev)
	}
}

// cmpKeys orders checks as a page does.
func cmpKeys(a, b Check) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Version, b.Version),
		cmp.Compare(a.Node, b.Node), cmp.Compare(a.ID, b.ID))
}

// TestPagesAreOrderedAndComplete: every walk shows each entry once, in order.
// Faults: A9.
func TestPagesAreOrderedAndComplete(t *testing.T) {
	s := still(Config{})
	scatter(t, s, 1500)
	for _, size := range []int{1, 10, 137, 1000} {
		var byOffset []Check
		for {
			p, err := s.Checks(Query{Limit: size, Offset: len(byOffset)})
			if err != nil || p.Total != 1500 {
				t.Fatalf("total %d, %v", p.Total, err)
			}
			byOffset = append(byOffset, p.Items...)
			if len(p.Items) < size {
				break
			}
		}
		if len(byOffset) != 1500 || !slices.IsSortedFunc(byOffset, cmpKeys) {
			t.Fatalf("pages of %d: %d checks, in order: %t", size, len(byOffset), slices.IsSortedFunc(byOffset, cmpKeys))
		}
		if !slices.Equal(byOffset, all(t, s.Checks, Query{})) {
			t.Fatal("a walk by cursor differs from one by offset")
		}
	}
}

// TestSummaryIsTheWorstState of the states of a version's nodes, with counts.
// Nodes that were stopped on purpose count only if there is no other, so that a service
// whose nodes were restarted runs.
// Faults: A9, U4.
func TestSummaryIsTheWorstState(t *testing.T) {
	for _, tc := range []struct {
		statuses []int32
		want     healthpb.Status_Status
	}{
		{[]int32{running, running}, healthpb.Status_RUNNING},
		{[]int32{running, started}, healthpb.Status_STARTED},
		{[]int32{isStopped, running, started}, healthpb.Status_STARTED},
		{[]int32{isStopped, running, isStopped, running}, healthpb.Status_RUNNING},
		{[]int32{isStopped, isStopped}, healthpb.Status_STOPPED},
		{[]int32{running, unknown, isStopped}, healthpb.Status_UNKNOWN},
	} {
		s := still(Config{})
		var counts [4]int
		for i, x := range tc.statuses {
			mustPut(t, s, Accepted, status(fmt.Sprint("n", i), x, 0))
			counts[x]++
		}
		mustPut(t, s, Accepted, status("n0", running, 0).of("b", "1"))
		p, err := s.Summary(Query{Service: "a"})
		if err != nil || len(p.Items) != 1 || p.Items[0].Status != tc.want || p.Items[0].Counts != counts {
			t.Errorf("%v: %+v, %v, want %s, %v", tc.statuses, p, err, tc.want, counts)
		}
		m := p.Items[0].Proto()
		if m.RunningNodes != int64(counts[2]) || m.StoppedNodes != int64(counts[3]) || m.Reported != 0 || m.Service.Id != "" {
			t.Errorf("the message is %v", m)
		}
		p, err = s.Summary(Query{Node: "n0", Service: "a"})
		if err != nil || len(p.Items) != 1 || int32(p.Items[0].Status) != tc.statuses[0] || p.Items[0].Node != "" {
			t.Errorf("summary of one node: %+v, %v", p, err)
		}
	}
}

// TestAppendChecksKeepsWhatIsThere, and takes no memory if there is room.
func TestAppendChecksKeepsWhatIsThere(t *testing.T) {
	s := still(Config{})
	scatter(t, s, 500)
	items := []Check{{ID: "mine"}}
	for _, q := range []Query{{Limit: 20}, {Limit: 5, Node: "node-3"}} {
		want, err := s.Checks(q)
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.AppendChecks(items, q)
		if err != nil || p.Items[0].ID != "mine" || !slices.Equal(p.Items[1:], want.Items) || p.Next != want.Next || p.Total != want.Total {
			t.Errorf("%+v: %d items, want %d, %v", q, len(p.Items), len(want.Items)+1, err)
		}
		again, err := s.AppendChecks(p.Items[:0], q)
		if err != nil || &again.Items[0] != &p.Items[0] || !slices.Equal(again.Items, want.Items) {
			t.Errorf("%+v: the slice was not used again, %v", q, err)
		}
	}
}

// selects is what a Query means.
func (q *Query) selects(c Check) bool {
	return (q.Service == "" || q.Service == c.Service) && (q.Node == "" || q.Node == c.Node) &&
		(q.ID == "" || q.ID == c.ID) &&
		(len(q.Statuses) == 0 || slices.Contains(q.Statuses, c.Status)) &&
		(len(q.Sources) == 0 || slices.Contains(q.Sources, c.Source))
}

// TestQueryFiltersBeforePaging: every combination of filters, against a plain loop.
// Faults: A16.
func TestQueryFiltersBeforePaging(t *testing.T) {
	s := still(Config{})
	scatter(t, s, 1200)
	every := all(t, s.Checks, Query{})
	pick := func(n int, format string) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprintf(format, n)
	}
	for i := range 3 * 3 * 3 * 5 * 4 {
		q := Query{
			Service: pick(i%3, "svc-%d"), Node: pick(i/3%3, "node-%d"), ID: pick(i/9%3, "id-%03d"),
			Statuses: [][]healthpb.HealthCheck_Status{nil, {1}, {0}, {2, 3}, {3, 3}}[i/27%5],
			Sources:  [][]healthpb.HealthCheck_Source{nil, {0}, {1, 2}, {2}}[i/135],
		}
		var want []Check
		for _, c := range every {
			if q.selects(c) {
				want = append(want, c)
			}
		}
		if got := all(t, s.Checks, q); !slices.Equal(got, want) {
			t.Fatalf("%+v: %d checks, want %d", q, len(got), len(want))
		}
		offset := len(want) / 2
		q.Limit, q.Offset = 9, offset
		p, err := s.Checks(q)
		if err != nil || !slices.Equal(p.Items, want[offset:min(offset+9, len(want))]) || p.Total != len(want) {
			t.Fatalf("%+v: a page of %d, total %d of %d, %v", q, len(p.Items), p.Total, len(want), err)
		}
	}
}

// TestStatusesThatDoNotExistSelectNothing, and the others still do.
func TestStatusesThatDoNotExistSelectNothing(t *testing.T) {
	s := still(Config{})
	scatter(t, s, 100)
	p, err := s.Checks(Query{Statuses: []healthpb.HealthCheck_Status{-1, 4, 99}})
	if err != nil || p.Total != 0 {
		t.Errorf("%d checks of no status, %v", p.Total, err)
	}
	p, err = s.Checks(Query{Sources: []healthpb.HealthCheck_Source{7, -1}})
	if err != nil || p.Total != 0 {
		t.Errorf("%d checks of no source, %v", p.Total, err)
	}
}

// TestLimitAndOffsetOfAnySize is answered without a panic and within the limits.
// Faults: A4, T65.
func TestLimitAndOffsetOfAnySize(t *testing.T) {
	s := still(Config{})
	scatter(t, s, 1300)
	values := []int{0, 1, 10, 1 << 31, 1 << 32, math.MaxInt, math.MaxInt - 1, -1, math.MinInt, 1299}
	for _, limit := range values {
		for _, offset := range values {
			wantLen := limit
			if limit <= 0 {
				wantLen = DefaultLimit
			}
			wantLen = min(wantLen, MaxLimit, 1300-min(max(offset, 0), 1300))
			for _, q := range []Query{{}, {Service: "svc-1"}, {Node: "node-1"}, {ID: "id-001"}} {
				q.Limit, q.Offset = limit, offset
				p, err := s.Checks(q)
				if err != nil || len(p.Items) > MaxLimit || q.Service+q.Node+q.ID == "" && len(p.Items) != wantLen {
					t.Errorf("%+v: %d items, want %d, %v", q, len(p.Items), wantLen, err)
				}
				if _, err := s.Nodes(q); err != nil && !errors.Is(err, ErrNotFound) {
					t.Errorf("%+v: %v", q, err)
				}
			}
		}
	}
}

// Faults: A21.
func TestNotFoundNamesWhatIsUnknown(t *testing.T) {
	s := still(Config{})
	mustPut(t, s, Accepted, check("n", "ping", ok, 0), status("m", running, 0).of("b", "1"))
	for _, tc := range []struct {
		q    Query
		want string
	}{
		{Query{Service: "x"}, `service "x": not found`},
		{Query{Node: "x"}, `node "x": not found`},
		{Query{ID: "x"}, `health check "x": not found`},
		{Query{Service: "a", Node: "n", ID: "about ping"}, `health check "about ping": not found`},
		{Query{Service: "a", Node: "m"}, ""},
		{Query{Service: "b"}, ""},
		{Query{ID: "ping", Node: "m"}, ""},
		{Query{ID: "ping", Statuses: []healthpb.HealthCheck_Status{2}}, ""},
	} {
		p, err := s.Checks(tc.q)
		if tc.want == "" {
			if err != nil || p.Total != 0 {
				t.Errorf("%+v: %+v, %v, want an empty page", tc.q, p, err)
			}
			continue
		}
		if !errors.Is(err, ErrNotFound) || err.Error() != tc.want {
			t.Errorf("%+v: %v, want %s", tc.q, err, tc.want)
		}
	}
	q := Query{Service: "x"}
	for name, list := range map[string]func(Query) (int, error){
		"nodes": count(s.Nodes), "stats": count(s.Stats), "services": count(s.Services), "summary": count(s.Summary),
	} {
		if _, err := list(q); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
		if n, err := list(Query{Service: "a", Node: "n", ID: "none"}); err != nil {
			t.Errorf("%s looked for an id: %d, %v", name, n, err)
		}
	}
}

// TestManyClaimsOfOneNode takes more spans than are cut in one go.
func TestManyClaimsOfOneNode(t *testing.T) {
	s := still(Config{})
	const claims = 2*maxSpans + 7
	for i := range claims {
		mustPut(t, s, Accepted, check("n", "ping", ok, 0).of("a", fmt.Sprintf("%04d", i)), status("n", running, 0).of("a", fmt.Sprintf("%04d", i)))
	}
	for name, n := range map[string]int{
		"checks": len(all(t, s.Checks, Query{Node: "n", ID: "ping"})), "nodes": len(all(t, s.Nodes, Query{Node: "n"})),
		"services": len(all(t, s.Services, Query{Node: "n", Service: "a"})), "summary": len(all(t, s.Summary, Query{Node: "n"})),
	} {
		if n != claims {
			t.Errorf("%s: %d, want %d", name, n, claims)
		}
	}
}
