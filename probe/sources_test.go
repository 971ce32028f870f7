package probe

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fakeCaller is a registry with services.
type fakeCaller struct {
	nodes []Node
	call  func(ctx context.Context, c Call) (json.RawMessage, error)
}

func (f *fakeCaller) Nodes(context.Context, string) ([]Node, error) { return f.nodes, nil }
func (f *fakeCaller) Call(ctx context.Context, c Call) (json.RawMessage, error) {
	return f.call(ctx, c)
}

func rpcProbeOf(tb testing.TB, f *fakeCaller, keys ...string) Probe {
	tb.Helper()
	return build(tb, "rpc", "service = \"go.micro.srv.greeter\"\nendpoint = \"Say.Hello\"\n"+strings.Join(keys, "\n"), Env{Caller: f})
}

func TestRPCCallsAnyNode(t *testing.T) {
	var got Call
	f := &fakeCaller{call: func(_ context.Context, c Call) (json.RawMessage, error) { got = c; return json.RawMessage(`{}`), nil }}
	r := ok(t, rpcProbeOf(t, f, `request = '{"name":"John"}'`))
	if r.Value != 0 || got.Service != "go.micro.srv.greeter" || got.Endpoint != "Say.Hello" || got.Node.Address != "" || string(got.Request) != `{"name":"John"}` {
		t.Errorf("%+v, call %+v", r, got)
	}
	f.call = func(context.Context, Call) (json.RawMessage, error) { return nil, errors.New("it is down") }
	fails(t, rpcProbeOf(t, f), "it is down")
	f.call = func(context.Context, Call) (json.RawMessage, error) { return json.RawMessage(`{"a`), nil }
	fails(t, rpcProbeOf(t, f), "not JSON")
	f.call = func(context.Context, Call) (json.RawMessage, error) { panic("in the client") }
	fails(t, rpcProbeOf(t, f), "in the client")
	release := make(chan struct{})
	defer close(release)
	f.call = func(context.Context, Call) (json.RawMessage, error) { <-release; return nil, nil }
	timesOut(t, rpcProbeOf(t, f))
}

func TestRPCCallsEachNode(t *testing.T) {
	var now, most, calls atomic.Int32
	f := &fakeCaller{}
	for _, id := range strings.Split("t s r q p o n m l k j i h g f e d c b a", " ") {
		f.nodes = append(f.nodes, Node{id, id + ":1"})
	}
	f.call = func(_ context.Context, c Call) (json.RawMessage, error) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		calls.Add(1)
		if c.Node.ID == "g" || c.Node.ID == "c" {
			return nil, errors.New("it is down")
		}
		return nil, nil
	}
	r, _ := fails(t, rpcProbeOf(t, f, `nodes = "all"`), `2 of 20 nodes failed, first "c": it is down`)
	if n := calls.Load(); n != 20 || most.Load() > maxCalls {
		t.Errorf("%d calls, %d at a time, want 20 and at most %d", n, most.Load(), maxCalls)
	}
	if !strings.HasPrefix(r.Detail, "18 of 20 calls answered") {
		t.Errorf("detail %q", r.Detail)
	}
	if r := ok(t, rpcProbeOf(t, f, `nodes = "all"`, `measure = "failed"`)); r.Value != 2 {
		t.Errorf("%v failed, want 2", r.Value)
	}
	f.nodes = nil
	fails(t, rpcProbeOf(t, f, `nodes = "all"`, `measure = "failed"`), "no node is registered")
}

func TestRPCKeysAreChecked(t *testing.T) {
	env := Env{Caller: &fakeCaller{}}
	for text, want := range map[string]string{
		"":                "service: this key is required",
		"service = \"s\"": "endpoint: this key is required",
		"service = \"s\"\nendpoint = \"e\"\nrequest = \"{\"":  "request: not JSON",
		"service = \"s\"\nendpoint = \"e\"\nnodes = \"some\"": `nodes: "some" is unknown`,
		"service = \"s\"\nendpoint = \"e\"\nnode = \"all\"":   "unknown key",
	} {
		if err := refused(t, "rpc", text, env); !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %q, want %q", text, err, want)
		}
	}
	refused(t, "rpc", "service = \"s\"\nendpoint = \"e\"", Env{})
}

type fakeEvents []Check

func (f fakeEvents) Checks(_ context.Context, service, check, node string) ([]Check, error) {
	var list []Check
	for _, c := range f {
		if service == "shop" && check == "db" && (node == "" || node == c.Node) {
			list = append(list, c)
		}
	}
	return list, nil
}

func TestEventValues(t *testing.T) {
	at := func(node string, s CheckStatus, silent bool) Check {
		return Check{Node: node, Status: s, Age: 7 * time.Second, Stale: silent, Error: "because"}
	}
	for name, c := range map[string]struct {
		events  fakeEvents
		keys    string
		value   float64
		warning bool
		wantErr string
	}{
		"ok":              {fakeEvents{at("a", CheckOK, false)}, "", 0, false, ""},
		"warning":         {fakeEvents{at("a", CheckWarning, false)}, "", 0.5, true, ""},
		"error":           {fakeEvents{at("a", CheckError, false)}, "", 1, false, ""},
		"unknown":         {fakeEvents{at("a", CheckUnknown, false)}, "", 1, false, "the publisher reports UNKNOWN"},
		"silent":          {fakeEvents{at("a", CheckOK, true)}, "", 1, false, "no report for 7s"},
		"never":           {nil, "", 1, false, "never published"},
		"worst":           {fakeEvents{at("a", CheckOK, false), at("b", CheckError, false), at("c", CheckWarning, false)}, "", 1, false, ""},
		"one has gone":    {fakeEvents{at("a", CheckOK, false), at("b", CheckError, true)}, "", 0, false, ""},
		"the named":       {fakeEvents{at("a", CheckOK, false), at("b", CheckError, false)}, `node = "a"`, 0, false, ""},
		"the named, gone": {fakeEvents{at("a", CheckOK, false), at("b", CheckError, true)}, `node = "b"`, 1, false, "no report"},
		"another service": {fakeEvents{at("a", CheckOK, false)}, `node = "z"`, 1, false, "never published"},
	} {
		t.Run(name, func(t *testing.T) {
			p := build(t, "event", "service = \"shop\"\ncheck = \"db\"\n"+c.keys, Env{Events: c.events})
			r, err := run(t, p, time.Second)
			if r.Value != c.value || r.Warning != c.warning || (err != nil) != (c.wantErr != "") {
				t.Errorf("%+v, %v, want %v, %v, %q", r, err, c.value, c.warning, c.wantErr)
			}
			if err != nil && !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("error %q, want %q", err, c.wantErr)
			}
			if err == nil && !strings.Contains(r.Detail, "7s ago: because") {
				t.Errorf("detail %q", r.Detail)
			}
		})
	}
	refused(t, "event", "service = \"s\"\ncheck = \"c\"", Env{})
	refused(t, "event", "service = \"s\"", Env{Events: fakeEvents{}})
}

type fakeStats []NodeStats

func (f fakeStats) Stats(context.Context, string) ([]NodeStats, error) { return f, nil }

func TestStatsMetrics(t *testing.T) {
	second := float64(time.Second)
	source := fakeStats{
		{Node: "a", HeapInUse: 100, UserTime: 2e9, Endpoints: []EndpointStats{
			{"Say.Hello", RequestStats{90, second, second / 2, 2 * second}, RequestStats{10, second, 0, 3 * second}, RequestStats{Count: 4}},
			{"Say.Bye", RequestStats{Count: 100, Upper95: 9 * second}, RequestStats{}, RequestStats{}},
		}},
		{Node: "b", HeapInUse: 300, UserTime: 1e9, Endpoints: []EndpointStats{
			{"Say.Hello", RequestStats{Count: 100, Mean: 2 * second}, RequestStats{}, RequestStats{}},
		}},
		{Node: "gone", Stale: true, HeapInUse: 9999},
	}
	hello := `endpoint = "Say.Hello"`
	for _, c := range []struct {
		metric, keys string
		want         float64
	}{
		{"count", hello, 200}, {"count", "", 300}, {"errors", hello, 10}, {"dropped", hello, 4}, {"error_ratio", hello, 0.05},
		{"upper95", hello, 3}, {"upper95", "", 9}, {"mean", hello, 2}, {"std_dev", hello, 0.5}, {"count", `endpoint = "Say.None"`, 0},
		{"error_ratio", `endpoint = "Say.None"`, 0}, {"heap_in_use", "", 300}, {"user_time", "", 2}, {"max_rss", "", 0},
	} {
		p := build(t, "stats", "service = \"shop\"\nmetric = \""+c.metric+"\"\n"+c.keys, Env{Stats: source})
		if r := ok(t, p); r.Value != c.want {
			t.Errorf("%s %s = %v, want %v", c.metric, c.keys, r.Value, c.want)
		}
	}
	silent := fakeStats{{Node: "a", Stale: true, Age: time.Minute}}
	fails(t, build(t, "stats", "service = \"shop\"\nmetric = \"count\"", Env{Stats: silent}), "no report for 1m0s")
	fails(t, build(t, "stats", "service = \"shop\"\nmetric = \"count\"", Env{Stats: fakeStats{}}), "never published")
	err := refused(t, "stats", "service = \"shop\"\nmetric = \"cont\"", Env{Stats: source})
	if !strings.Contains(err.Error(), `metric: "cont" is unknown; known are count, dropped, error_ratio`) {
		t.Errorf("error %q, want the known metrics", err)
	}
	refused(t, "stats", "service = \"shop\"\nmetric = \"heap_in_use\"\n"+hello, Env{Stats: source})
}

// broken returns results that no kind may return.
type broken struct {
	result Result
	err    error
}

func (b broken) Probe(context.Context) (Result, error) {
	return b.result, b.err
}
func (broken) Close() error { return nil }

func TestEveryKindKeepsItsPromises(t *testing.T) {
	zero := 0.0
	long := strings.Repeat("x\n\x1b", 5000)
	for name, b := range map[string]broken{
		"NaN":               {result: Result{Value: zero / zero}},
		"infinity":          {result: Result{Value: 1 / zero}},
		"NaN with an error": {result: Result{Value: zero / zero}, err: errors.New("x")},
		"long":              {result: Result{Detail: long}, err: errors.New(long)},
	} {
		kind := checked(func(func(any) error, Env) (Probe, error) { return b, nil })
		for restricted, limit := range map[bool]int{true: maxRestrictedReason, false: maxReason} {
			p, err := kind(nil, Env{Restricted: restricted})
			if err != nil {
				t.Fatal(err)
			}
			r, err := run(t, p, time.Second)
			if err == nil || checkFinite(r.Value) != nil {
				t.Errorf("%s: %+v, %v, want an error and a finite value", name, r, err)
				continue
			}
			if len(r.Detail) > maxDetail || len(err.Error()) > limit || strings.ContainsAny(r.Detail+err.Error(), "\n\x1b") {
				t.Errorf("%s: detail %q, error %q", name, r.Detail, err)
			}
		}
	}
}
