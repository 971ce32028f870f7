package handler

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/errors"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	"github.com/microhq/monitor-srv/internal/testkit/rpctest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

// fleet is a view of so many checks, each of a node of its own, with its status
// and figures.
func fleet(t testing.TB, n int) *view {
	v := newView()
	var all []proto.Message
	for i := range n {
		all = append(all, eventtest.OfNode(i, eventtest.Check()), eventtest.OfNode(i, eventtest.Status()), eventtest.OfNode(i, eventtest.Stats()))
	}
	v.feedMessages(t, all...)
	return v
}

// codeOf returns the code and the detail of an error of go-micro; 0 for none.
func codeOf(t testing.TB, err error) (int32, string) {
	t.Helper()
	if err == nil {
		return 0, ""
	}
	e := errors.FromError(err)
	if e.Id != errorID && e.Id != "" {
		t.Errorf("error id %q, want %q", e.Id, errorID)
	}
	return e.Code, e.Detail
}

// Faults: T65.
func TestBadArgumentsAre400WithTheField(t *testing.T) {
	p := serve(t, fleet(t, 3).monitor())
	for _, c := range []struct{ method, request, field string }{
		{"HealthChecks", `{"limit":-1}`, "limit"},
		{"HealthChecks", `{"offset":-1}`, "offset"},
		{"HealthChecks", `{"limit":"ten"}`, "limit"},
		{"HealthChecks", `{"offset":18446744073709551616}`, "offset"},
		{"HealthChecks", `{"status":7}`, "status"},
		{"HealthChecks", `{"status":-1}`, "status"},
		{"HealthChecks", `{"status":"BROKEN"}`, "status"},
		{"HealthChecks", `{"statuses":[1,99]}`, "statuses"},
		{"HealthChecks", `{"source":9}`, "source"},
		{"HealthChecks", `{"sources":[-3]}`, "sources"},
		{"HealthChecks", `{"cursor":"nonsense"}`, "cursor"},
		{"HealthChecks", `{"cursor":"x","offset":1}`, "offset"},
		{"HealthChecks", `{"healthy":true}`, "healthy"},
		{"HealthChecks", `{"service":`, "request"},
		{"HealthChecks", `[]`, "request"},
		{"Services", `{"limit":-1}`, "limit"},
		{"Services", `{"offset":-9223372036854775808}`, "offset"},
		{"Status", `{"limit":-1}`, "limit"},
		{"Status", `{"offset":-1}`, "offset"},
		{"Status", `{"cursor":"nonsense"}`, "cursor"},
		{"Status", `{"verbose":true,"cursor":"AAAA","offset":5}`, "offset"},
		{"Stats", `{"limit":-1}`, "limit"},
		{"Stats", `{"id":5}`, "id"},
		{"History", `{"limit":-1}`, "limit"},
		{"History", `{"before_seq":-1}`, "before_seq"},
		{"History", `{"beforeSeq":"x"}`, "beforeSeq"},
		{"Watch", `{"limit":-1}`, "limit"},
		{"Watch", `{"since_seq":-1}`, "since_seq"},
		{"Watch", `{"wait":-1}`, "wait"},
	} {
		_, answer := p.Ask(t, c.method, c.request)
		var e errors.Error
		if err := json.Unmarshal([]byte(answer), &e); err != nil {
			t.Errorf("%s %s: %q is no error: %v", c.method, c.request, answer, err)
			continue
		}
		if e.Code != 400 || e.Id != "go.micro.srv.monitor" || !strings.Contains(e.Detail, c.field) {
			t.Errorf("%s %s: %q, want 400 with %q", c.method, c.request, answer, c.field)
		}
	}
}

// ask returns a call of a method at the port.
func ask[Q, R any](t *testing.T, p *rpctest.Port, method func(context.Context, Q, ...client.CallOption) (R, error), request Q) func() error {
	return func() error {
		_, err := method(t.Context(), request, p.At())
		return err
	}
}

// Faults: A21.
func TestUnknownNamesAre404Everywhere(t *testing.T) {
	m := fleet(t, 3).monitor()
	p := serve(t, m)
	for _, contentType := range []string{"application/json", "application/protobuf"} {
		c := p.Client(contentType)
		for name, call := range map[string]func() error{
			"HealthChecks service nobody": ask(t, p, c.HealthChecks, &monitorpb.HealthChecksRequest{Service: "nobody"}),
			"HealthChecks node nobody":    ask(t, p, c.HealthChecks, &monitorpb.HealthChecksRequest{Node: "nobody"}),
			"HealthChecks check nobody":   ask(t, p, c.HealthChecks, &monitorpb.HealthChecksRequest{Id: "nobody"}),
			"Services service nobody":     ask(t, p, c.Services, &monitorpb.ServicesRequest{Service: "nobody"}),
			"Status service nobody":       ask(t, p, c.Status, &monitorpb.StatusRequest{Service: "nobody"}),
			"Status node nobody":          ask(t, p, c.Status, &monitorpb.StatusRequest{Id: "nobody", Verbose: true}),
			"Stats service nobody":        ask(t, p, c.Stats, &monitorpb.StatsRequest{Service: "nobody"}),
			"Stats node nobody":           ask(t, p, c.Stats, &monitorpb.StatsRequest{Id: "nobody"}),
			"History service nobody":      ask(t, p, c.History, &monitorpb.HistoryRequest{Service: "nobody"}),
		} {
			code, detail := codeOf(t, call())
			what := strings.Fields(name)[1]
			if code != 404 || !strings.Contains(detail, "not found") || !strings.Contains(detail, `"nobody"`) || !strings.Contains(detail, what) {
				t.Errorf("%s, %s: %d %q, want 404 with what was not found", name, contentType, code, detail)
			}
		}
	}
}

// Faults: A21.
func TestLongNamesAreShortenedInErrors(t *testing.T) {
	m := fleet(t, 1).monitor()
	err := m.HealthChecks(t.Context(), &monitorpb.HealthChecksRequest{Service: strings.Repeat("é", 100000)}, new(HealthChecksResponse))
	code, detail := codeOf(t, err)
	if code != 404 || len(detail) > 1000 {
		t.Errorf("%d with %d bytes", code, len(detail))
	}
}

// Faults: A16.
func TestFilterIsAppliedBeforePaging(t *testing.T) {
	v := newView()
	for i := range 100 {
		c := eventtest.OfNode(i, eventtest.Check())
		c.Status = healthpb.HealthCheck_OK
		if i%10 == 9 {
			c.Status = healthpb.HealthCheck_Status(2 + i/10%2)
		}
		v.feedMessages(t, c)
	}
	m := v.monitor()
	for _, c := range []struct {
		req   *monitorpb.HealthChecksRequest
		items int
		total int64
	}{
		{&monitorpb.HealthChecksRequest{Status: 2, Limit: 3}, 3, 5},
		{&monitorpb.HealthChecksRequest{Status: 2, Limit: 3, Offset: 3}, 2, 5},
		{&monitorpb.HealthChecksRequest{Statuses: []healthpb.HealthCheck_Status{2, 3, 3}}, 10, 10},
		{&monitorpb.HealthChecksRequest{Status: 2, Statuses: []healthpb.HealthCheck_Status{3}}, 10, 10},
		{&monitorpb.HealthChecksRequest{Statuses: []healthpb.HealthCheck_Status{0}}, 0, 0},
		{&monitorpb.HealthChecksRequest{Sources: []healthpb.HealthCheck_Source{0}, Limit: 1000}, 100, 100},
		{&monitorpb.HealthChecksRequest{Source: healthpb.HealthCheck_MONITOR}, 0, 0},
		{&monitorpb.HealthChecksRequest{Node: "node-0019"}, 1, 1},
	} {
		rsp := new(HealthChecksResponse)
		if err := m.HealthChecks(t.Context(), c.req, rsp); err != nil {
			t.Errorf("%v: %v", c.req, err)
			continue
		}
		if len(rsp.HealthChecks) != c.items || rsp.Total != c.total {
			t.Errorf("%v: %d items of %d, want %d of %d", c.req, len(rsp.HealthChecks), rsp.Total, c.items, c.total)
		}
	}
}

// Faults: A12.
func TestNodeIDOfTwoServicesIsShownTwice(t *testing.T) {
	v := newView()
	victim, thief := eventtest.Status(), eventtest.Status()
	thief.Service.Name, thief.Status = "go.micro.srv.thief", healthpb.Status_STOPPED
	v.feedMessages(t, victim, thief)
	m := v.monitor()
	rsp := new(monitorpb.StatusResponse)
	if err := m.Status(t.Context(), &monitorpb.StatusRequest{Id: victim.Service.Nodes[0].Id, Verbose: true}, rsp); err != nil {
		t.Fatal(err)
	}
	if len(rsp.Statuses) != 2 || rsp.Statuses[0].Status != healthpb.Status_RUNNING || rsp.Statuses[1].Status != healthpb.Status_STOPPED {
		t.Errorf("statuses %v, want both", rsp.Statuses)
	}
	services := new(monitorpb.ServicesResponse)
	if err := m.Services(t.Context(), &monitorpb.ServicesRequest{}, services); err != nil {
		t.Fatal(err)
	}
	for _, s := range services.Services {
		if len(s.Nodes) != 1 || !s.Nodes[0].Conflict {
			t.Errorf("%v: the conflict does not show", s)
		}
	}
	if v.store.Counters().Conflicts == 0 {
		t.Error("the conflict was not counted")
	}
}

// Faults: T68.
func TestEventsSentToTheRPCPortChangeNothing(t *testing.T) {
	v := newView()
	p := serve(t, v.monitor())
	body, contentType := eventtest.Old(t, store.KindCheck, false)
	for _, name := range []string{"Micro-Topic", "X-Micro-Topic"} {
		for _, endpoint := range []string{"", "Monitor.HealthChecks"} {
			header := map[string]string{name: "micro.monitor.healthcheck", "Content-Type": contentType}
			if endpoint != "" {
				header["Micro-Endpoint"] = endpoint
			}
			p.Post(t, header, string(body))
		}
	}
	if n := v.store.Counters(); n.Checks != 0 {
		t.Errorf("%d checks known, want none", n.Checks)
	}
}
