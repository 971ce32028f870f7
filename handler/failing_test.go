package handler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
)

// of returns a service with one node.
func of(name, node string) *healthpb.Service {
	return &healthpb.Service{Name: name, Version: "1", Nodes: []*healthpb.Node{{Id: node}}}
}

// One question lists all that fails, the silent and the missing included, and nothing that
// was stopped on purpose; the answer names the statuses and says whether there is more.
// Faults: U4.
func TestWhatFailsIsAskedForInOneQuestion(t *testing.T) {
	v := newView()
	now := time.Now().Unix()
	var all []proto.Message
	for i, status := range []healthpb.HealthCheck_Status{1, 2, 3, 0, 1, 1} {
		all = append(all, &healthpb.HealthCheck{Id: "check", Service: of("fleet", fmt.Sprint("node-", i)), Timestamp: now, Status: status})
	}
	all = append(all,
		&healthpb.HealthCheck{Id: "check", Service: of("stopped", "gone"), Timestamp: now, Status: healthpb.HealthCheck_ERROR},
		&healthpb.Status{Service: of("stopped", "gone"), Timestamp: now, Status: healthpb.Status_STOPPED})
	v.feedMessages(t, all...)
	m := v.monitor()
	req := &monitorpb.HealthChecksRequest{Missing: true, Limit: 2, Statuses: []healthpb.HealthCheck_Status{
		healthpb.HealthCheck_ERROR, healthpb.HealthCheck_WARNING, healthpb.HealthCheck_UNKNOWN,
	}}
	var got []string
	for more := true; more; {
		rsp := new(HealthChecksResponse)
		if err := m.HealthChecks(t.Context(), req, rsp); err != nil {
			t.Fatal(err)
		}
		for _, c := range rsp.HealthChecks {
			got = append(got, c.Node+" "+c.Proto().StatusName)
		}
		if more = rsp.More; more != (len(got) < 3) || rsp.Total != 3 {
			t.Errorf("after %d of %d: more %v", len(got), rsp.Total, more)
		}
		req.Cursor = rsp.Cursor
	}
	if want := "node-1 ERROR, node-2 WARNING, node-3 UNKNOWN"; strings.Join(got, ", ") != want {
		t.Errorf("failing are %q, want %q", got, want)
	}
	rsp := new(HealthChecksResponse)
	if err := m.HealthChecks(t.Context(), &monitorpb.HealthChecksRequest{Service: "stopped", Missing: true}, rsp); err != nil || len(rsp.HealthChecks) != 1 || !rsp.HealthChecks[0].Proto().Stopped {
		t.Errorf("checks of stopped nodes, asked for: %+v, %v", rsp.HealthChecks, err)
	}
}

// Faults: U4.
func TestNodesAreAskedForByStatus(t *testing.T) {
	v := newView()
	for i, status := range []healthpb.Status_Status{2, 3, 1, 3, 2} {
		v.feedMessages(t, &healthpb.Status{Service: of("fleet", fmt.Sprint("node-", i)), Timestamp: time.Now().Unix(), Status: status})
	}
	m := v.monitor()
	rsp := new(monitorpb.StatusResponse)
	req := &monitorpb.StatusRequest{Verbose: true, Limit: 1, Statuses: []healthpb.Status_Status{healthpb.Status_STOPPED, healthpb.Status_STARTED}}
	if err := m.Status(t.Context(), req, rsp); err != nil || rsp.Total != 3 || !rsp.More || rsp.Statuses[0].StatusName != "STOPPED" {
		t.Errorf("got %v, %v", rsp, err)
	}
	// The service runs, although two of its nodes were stopped and replaced.
	if err := m.Status(t.Context(), &monitorpb.StatusRequest{}, rsp); err != nil || rsp.Statuses[0].Status != healthpb.Status_STARTED || rsp.More {
		t.Errorf("summary %v, %v", rsp, err)
	}
	for _, bad := range []*monitorpb.StatusRequest{{Statuses: req.Statuses}, {Verbose: true, Statuses: []healthpb.Status_Status{9}}} {
		if err := m.Status(t.Context(), bad, rsp); err == nil || !strings.Contains(err.Error(), "statuses") || !strings.Contains(err.Error(), "400") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
