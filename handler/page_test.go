package handler

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

// lister is one method that lists, with the page it is asked for.
type lister struct {
	name string
	// list returns how many items the answer has, and the total.
	list func(m *Monitor, limit, offset int64) (items int, total int64, err error)
}

var listers = []lister{
	{"HealthChecks", func(m *Monitor, limit, offset int64) (int, int64, error) {
		rsp := new(HealthChecksResponse)
		err := m.HealthChecks(context.Background(), &monitorpb.HealthChecksRequest{Limit: uint64(limit), Offset: uint64(offset)}, rsp)
		return len(rsp.HealthChecks), rsp.Total, err
	}},
	{"Status", func(m *Monitor, limit, offset int64) (int, int64, error) {
		rsp := new(monitorpb.StatusResponse)
		err := m.Status(context.Background(), &monitorpb.StatusRequest{Limit: limit, Offset: offset, Verbose: true}, rsp)
		return len(rsp.Statuses), rsp.Total, err
	}},
	{"Stats", func(m *Monitor, limit, offset int64) (int, int64, error) {
		rsp := new(monitorpb.StatsResponse)
		err := m.Stats(context.Background(), &monitorpb.StatsRequest{Limit: limit, Offset: offset}, rsp)
		return len(rsp.Stats), rsp.Total, err
	}},
	{"Services", func(m *Monitor, limit, offset int64) (int, int64, error) {
		rsp := new(monitorpb.ServicesResponse)
		err := m.Services(context.Background(), &monitorpb.ServicesRequest{Limit: limit, Offset: offset}, rsp)
		return len(rsp.Services), rsp.Total, err
	}},
}

// Faults: A4, T65.
func TestLimitAndOffsetOfAnySizeByRPC(t *testing.T) {
	const n = 1100
	m := fleet(t, n).monitor()
	numbers := []uint64{0, 1, 10, 999, 1000, 1001, 1 << 31, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1, math.MaxUint64 - 10}
	for _, l := range listers {
		size, byDefault := n, 10
		if l.name == "Services" {
			size, byDefault = 1, 1000
		}
		for _, limit := range numbers {
			for _, offset := range numbers {
				items, total, err := l.list(m, int64(limit), int64(offset))
				if l.name != "HealthChecks" && (int64(limit) < 0 || int64(offset) < 0) {
					if code, detail := codeOf(t, err); code != 400 || !strings.Contains(detail, "limit") && !strings.Contains(detail, "offset") {
						t.Errorf("%s limit %d offset %d: %v, want 400 with the field", l.name, int64(limit), int64(offset), err)
					}
					continue
				}
				most := int(min(limit, 1000))
				if limit == 0 {
					most = byDefault
				}
				want := max(min(most, size-int(min(offset, n))), 0)
				if err != nil || items != want || total != int64(size) {
					t.Errorf("%s limit %d offset %d: %d items of %d, %v, want %d of %d", l.name, limit, offset, items, total, err, want, size)
				}
			}
		}
	}
}

// walk follows the cursors of HealthChecks and returns the nodes in order.
// Between two pages it calls between.
func walk(t *testing.T, m *Monitor, limit uint64, between func()) []string {
	t.Helper()
	var nodes []string
	req := &monitorpb.HealthChecksRequest{Limit: limit}
	for {
		rsp := new(HealthChecksResponse)
		if err := m.HealthChecks(t.Context(), req, rsp); err != nil {
			t.Fatal(err)
		}
		for _, c := range rsp.HealthChecks {
			nodes = append(nodes, c.Node)
		}
		if rsp.Cursor == "" {
			return nodes
		}
		req.Cursor = rsp.Cursor
		between()
	}
}

// Faults: T65.
func TestWalkingAllPagesShowsEachEntryOnce(t *testing.T) {
	const n = 500
	v := fleet(t, n)
	m := v.monitor()
	for _, limit := range []uint64{1, 7, 100, 1000} {
		nodes := walk(t, m, limit, func() {})
		for i, node := range nodes {
			if want := fmt.Sprintf("node-%04d", i); node != want {
				t.Fatalf("limit %d: entry %d is of %s, want %s", limit, i, node, want)
			}
		}
		if len(nodes) != n {
			t.Errorf("limit %d: %d entries, want %d", limit, len(nodes), n)
		}
	}
}

// Faults: T65.
func TestWalkingPagesShowsNoEntryTwiceWhileEntriesChange(t *testing.T) {
	n := testkit.Fewer(500, 100)
	v := fleet(t, n)
	m := v.monitor()
	next := 1000
	nodes := walk(t, m, 7, func() {
		for range 10 { // new ones on both sides of the cursor, and changed ones
			front := eventtest.OfNode(next, eventtest.Check())
			front.Service.Nodes[0].Id = fmt.Sprint("a-", next)
			changed := eventtest.OfNode(next%n, eventtest.Check())
			changed.Timestamp, changed.Status = 1763760000+int64(next), 1
			v.feedMessages(t, front, eventtest.OfNode(next, eventtest.Check()), changed)
			next++
		}
	})
	seen := map[string]bool{}
	for _, node := range nodes {
		if seen[node] {
			t.Fatalf("%s is shown twice", node)
		}
		seen[node] = true
	}
	for i := range n {
		if node := fmt.Sprintf("node-%04d", i); !seen[node] {
			t.Fatalf("%s was there all the time and is not shown", node)
		}
	}
}

// Faults: T65.
func FuzzPagingOverRPC(f *testing.F) {
	m := fleet(f, 30).monitor()
	f.Add(uint64(0), uint64(0), "", int32(0))
	f.Add(uint64(math.MaxUint64), uint64(1<<63), "x", int32(7))
	page, err := m.store.Checks(store.Query{Limit: 3})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint64(5), uint64(0), page.Next, int32(2))
	f.Fuzz(func(t *testing.T, limit, offset uint64, cursor string, status int32) {
		req := &monitorpb.HealthChecksRequest{
			Limit: limit, Offset: offset, Cursor: cursor, Status: healthpb.HealthCheck_Status(status),
		}
		rsp := new(HealthChecksResponse)
		code, detail := codeOf(t, m.HealthChecks(context.Background(), req, rsp))
		if code != 0 && code != 400 {
			t.Fatalf("%v: %d %s", req, code, detail)
		}
		if code == 0 && (len(rsp.HealthChecks) > 1000 || rsp.Total > 30) {
			t.Fatalf("%v: %d items of %d", req, len(rsp.HealthChecks), rsp.Total)
		}
	})
}

// largest is a check as large as one gets.
func largest(i int) *healthpb.HealthCheck {
	c := eventtest.OfNode(i, eventtest.Check())
	long := strings.Repeat("x", health.MaxText)
	c.Description, c.Error = long, long
	c.Results = make(map[string]string)
	for k := range 7 {
		c.Results[fmt.Sprint("key-", k)] = long
	}
	return c
}

func TestAnswersAreBoundedAndStillComplete(t *testing.T) {
	const n = 150
	v := newView()
	for i := range n {
		v.feedMessages(t, largest(i))
	}
	p := serve(t, v.monitor())
	for _, contentType := range []string{"application/protobuf", "application/json", "messages"} {
		t.Run(contentType, func(t *testing.T) {
			if contentType == "application/json" {
				testkit.SkipIfShort(t)
			}
			seen, pages := 0, 0
			req := &monitorpb.HealthChecksRequest{Limit: 1000}
			for {
				rsp, err := new(monitorpb.HealthChecksResponse), error(nil)
				if contentType == "messages" {
					err = reference{v.monitor()}.HealthChecks(t.Context(), req, rsp)
				} else {
					rsp, err = p.Client(contentType).HealthChecks(t.Context(), req, p.At())
				}
				if err != nil {
					t.Fatal(err)
				}
				if size := proto.Size(rsp); size > maxAnswer+64<<10 {
					t.Errorf("%d bytes, want at most about %d", size, maxAnswer)
				}
				for _, c := range rsp.HealthChecks {
					if want := fmt.Sprintf("node-%04d", seen); c.Service.Id != want {
						t.Fatalf("entry of %s, want %s", c.Service.Id, want)
					}
					seen++
				}
				pages++
				if req.Cursor = rsp.Cursor; req.Cursor == "" {
					break
				}
			}
			if seen != n || pages != 2 {
				t.Errorf("%d entries on %d pages, want %d on 2", seen, pages, n)
			}
		})
	}
}
