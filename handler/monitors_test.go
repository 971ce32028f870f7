package handler

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	merrors "go-micro.dev/v4/errors"
	"go-micro.dev/v4/metadata"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/changetest"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

type noRecorder struct{}

func (noRecorder) Record(monitor.Result) {}

// monitored returns a Monitor with a group and tokens of each role, named like it.
func monitored(t *testing.T, change func(*access.Policy)) *Monitor {
	t.Helper()
	file := testkit.NewFile(t, "tokens", "viewer:viewer-token-long\noperator:operator-token-long\nadmin:admin-token-long\n")
	tokens, err := access.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	policy := access.Policy{Tokens: tokens}
	if change != nil {
		change(&policy)
	}
	group := monitor.NewGroup(monitor.Config{
		Probes: probe.Builtin(), Recorder: noRecorder{},
		Delivery: changetest.Delivery(),
		Log:      testkit.QuietLog(),
	})
	testkit.Run(t, group)
	return NewMonitor(Config{
		Store: store.New(store.Config{}), Group: group, Policy: policy, Instance: "here",
		Log: testkit.QuietLog(), Level: new(slog.LevelVar),
	})
}

// as is the context of a call with a token, from an address of its own.
func as(token string) context.Context {
	md := metadata.Metadata{"Remote": "192.0.2.1:1000"}
	if token != "" {
		md["Authorization"] = "Bearer " + token
	}
	return metadata.NewContext(context.Background(), md)
}

func statusOf(err error) int32 {
	if err == nil {
		return 200
	}
	return merrors.FromError(err).Code
}

const (
	plainDefinition = `{"name": "plain", "probe": {"type": "tcp", "address": "192.0.2.1:1"}}`
	mysqlDefinition = `{"name": "mysql", "probe": {"type": "mysql", "dsn": "u:p@tcp(192.0.2.1)/d", "query": "SELECT 1"}}`
	execDefinition  = `{"name": "exec", "probe": {"type": "exec", "command": "/bin/true"}}`
	ownDefinition   = `{"name": "own", "probe": {"type": "tcp", "address": "192.0.2.1:1"}, "actions": [{"type": "http", "url_fail": "http://192.0.2.1/"}]}`
)

func registering(definition string) func(*Monitor, context.Context) error {
	return func(m *Monitor, ctx context.Context) error {
		return m.Register(ctx, &monitorpb.RegisterRequest{Definition: definition}, &monitorpb.RegisterResponse{})
	}
}

// Without tokens nothing changes, and exec needs its own switch.
// Faults: G1, T73.
func TestNothingChangesByRPCWithoutATokenFile(t *testing.T) {
	m := monitored(t, func(p *access.Policy) { p.Tokens = nil })
	err := registering(plainDefinition)(m, as("admin-token-long"))
	if statusOf(err) != 403 || !strings.Contains(err.Error(), "--token_file") {
		t.Errorf("without a token file: %v", err)
	}
	m = monitored(t, func(p *access.Policy) { p.ExecAPI = true })
	if err := registering(execDefinition)(m, as("admin-token-long")); err != nil {
		t.Errorf("an admin with --allow_exec_api: %v", err)
	}
	if err := registering(execDefinition)(m, as("operator-token-long")); statusOf(err) != 403 {
		t.Errorf("an operator with --allow_exec_api: %v", err)
	}
}

func TestAtMostTenRegistrationsASecondByRPC(t *testing.T) {
	m := monitored(t, nil)
	begin := time.Now()
	passed := 0
	for i := range 40 {
		err := registering(strings.Replace(plainDefinition, "plain", fmt.Sprint("m", i), 1))(m, as("operator-token-long"))
		if err == nil {
			passed++
		} else if statusOf(err) != 429 || !strings.Contains(err.Error(), "at most 10 monitors may be registered per second: try again in 1s") {
			t.Fatal(err)
		}
	}
	if most := 10 * (1 + int(time.Since(begin)/time.Second)); passed < 10 || passed > most {
		t.Errorf("%d passed within %v, want 10 to %d", passed, time.Since(begin), most)
	}
}

func TestRegisterListStopUnregister(t *testing.T) {
	m := monitored(t, nil)
	ctx := as("operator-token-long")
	var registered monitorpb.RegisterResponse
	definition := "name = \"plain\"\ninterval = \"30s\"\n[probe]\ntype = \"tcp\"\naddress = \"192.0.2.1:1\"\n[labels]\nteam = \"a\"\n"
	if err := m.Register(ctx, &monitorpb.RegisterRequest{Definition: definition}, &registered); err != nil {
		t.Fatal(err)
	}
	if i := registered.Monitor; i.Id != 1 || i.Name != "plain" || !i.Running || i.Interval != 30 || i.Probe != "tcp" || i.Origin != "api" || i.Labels["team"] != "a" {
		t.Errorf("registered %v", i)
	}
	if err := registering(plainDefinition)(m, ctx); statusOf(err) != 409 {
		t.Errorf("another of the name: %v", err)
	}
	// G31: the same again is answered as before.
	var again monitorpb.RegisterResponse
	same := `{"labels": {"team": "a"}, "name": "plain", "probe": {"address": "192.0.2.1:1", "type": "tcp"}, "interval": 30}`
	if err := m.Register(ctx, &monitorpb.RegisterRequest{Definition: same}, &again); err != nil || again.Monitor.Id != 1 {
		t.Errorf("the same again: %v, %v", again.Monitor, err)
	}
	if err := registering(same)(m, as("admin-token-long")); statusOf(err) != 409 {
		t.Errorf("the same by an admin, for whom it would mean more: %v", err)
	}
	for _, bad := range []string{"", "{", "name = \"x\"", `{"name": "x", "probe": {"type": "tcp", "adress": "a:1"}}`} {
		if err := registering(bad)(m, ctx); statusOf(err) != 400 || !strings.Contains(err.Error(), "definition: ") {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
	var stopped monitorpb.StopResponse
	if err := m.Stop(ctx, &monitorpb.StopRequest{Id: 1}, &stopped); err != nil || stopped.Monitor.State != monitorpb.MonitorInfo_STOPPED {
		t.Errorf("stop: %v, %v", stopped.Monitor, err)
	}
	var list monitorpb.MonitorsResponse
	if err := m.Monitors(ctx, &monitorpb.MonitorsRequest{State: monitorpb.MonitorInfo_STOPPED}, &list); err != nil || list.Total != 1 || len(list.Monitors) != 1 {
		t.Errorf("list: %v, %v", &list, err)
	}
	if err := m.Start(ctx, &monitorpb.StartRequest{Id: 1}, &monitorpb.StartResponse{}); err != nil {
		t.Error(err)
	}
	if err := m.Unregister(ctx, &monitorpb.UnregisterRequest{Id: 1}, &monitorpb.UnregisterResponse{}); err != nil {
		t.Error(err)
	}
	list.Reset()
	if err := m.Monitors(ctx, &monitorpb.MonitorsRequest{}, &list); err != nil || list.Total != 0 {
		t.Errorf("list: %v, %v", &list, err)
	}
}

// Who changed what is in the log, as over HTTP; what was guessed is not.
func TestChangesOverRPCAreLogged(t *testing.T) {
	var log strings.Builder
	m := monitored(t, nil)
	m.changes = access.NewLog(testkit.InfoTo(&log))
	m.door = access.NewDoor(m.policy, m.changes)
	ctx := as("admin-token-long")
	registered := &monitorpb.RegisterResponse{}
	if err := m.Register(ctx, &monitorpb.RegisterRequest{Definition: plainDefinition}, registered); err != nil {
		t.Fatal(err)
	}
	id := registered.Monitor.Id
	for name, err := range map[string]error{
		"stop":       m.Stop(ctx, &monitorpb.StopRequest{Id: id}, &monitorpb.StopResponse{}),
		"start":      m.Start(ctx, &monitorpb.StartRequest{Id: id}, &monitorpb.StartResponse{}),
		"unregister": m.Unregister(ctx, &monitorpb.UnregisterRequest{Id: id}, &monitorpb.UnregisterResponse{}),
		"verbosity":  m.Verbosity(ctx, &monitorpb.VerbosityRequest{Level: "critical"}, &monitorpb.VerbosityResponse{}),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_ = m.Stop(as("guessed-token"), &monitorpb.StopRequest{Id: id}, &monitorpb.StopResponse{})
	for _, want := range []string{
		`msg="monitor registered" monitor=plain id=1 role=admin client=192.0.2.1:1000`,
		`msg="monitor stopped" id=1 monitor=plain`, `msg="monitor started" id=1 monitor=plain`, `msg="monitor unregistered" id=1 monitor=plain`,
		`msg="verbosity changed" from=info to=critical role=admin`, `msg="wrong token" client=192.0.2.1:1000`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "token") && strings.Contains(log.String(), "guessed") {
		t.Errorf("the log has a token:\n%s", log.String())
	}
}

// Faults: U7.
func TestMonitorsAreChangedByName(t *testing.T) {
	m := monitored(t, nil)
	ctx := as("admin-token-long")
	for _, name := range []string{"a", "1"} {
		definition := strings.Replace(plainDefinition, "plain", name, 1)
		for _, existed := range []bool{false, true} {
			rsp := &monitorpb.RegisterResponse{}
			if err := m.Register(ctx, &monitorpb.RegisterRequest{Definition: definition}, rsp); err != nil || rsp.Existed != existed {
				t.Fatalf("registering %s: %+v, %v; want existed %v", name, rsp, err, existed)
			}
		}
	}
	stopped := &monitorpb.StopResponse{}
	if err := m.Stop(ctx, &monitorpb.StopRequest{Name: "1"}, stopped); err != nil || stopped.Monitor.Id != 2 || stopped.Monitor.StoppedAt == 0 {
		t.Errorf("stopping 1 by name: %+v, %v", stopped.Monitor, err)
	}
	started := &monitorpb.StartResponse{}
	if err := m.Start(ctx, &monitorpb.StartRequest{Id: 2, Name: "1"}, started); err != nil || started.Monitor.StoppedAt != 0 {
		t.Errorf("starting it again: %+v, %v", started.Monitor, err)
	}
	if err := m.Unregister(ctx, &monitorpb.UnregisterRequest{Name: "a"}, &monitorpb.UnregisterResponse{}); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		req  *monitorpb.StopRequest
		want string
	}{
		{&monitorpb.StopRequest{Name: "a"}, "not found"},
		{&monitorpb.StopRequest{Id: 1, Name: "1"}, "is monitor 2, but the id is 1: give one of them"},
		{&monitorpb.StopRequest{}, "id: 0 is not an id of a monitor"},
	} {
		if err := m.Stop(ctx, c.req, &monitorpb.StopResponse{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %s", c.req, err, c.want)
		}
	}
}
