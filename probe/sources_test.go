package probe

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
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

func TestOddRPCAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		err    error
		want   string // a part of the error; empty if all is well
	}{
		"an object":           {`{"msg": "hello"}`, nil, ""},
		"an empty object":     {`{}`, nil, ""},
		"a list":              {`[1, 2]`, nil, ""},
		"null":                {`null`, nil, ""},
		"a number":            {`1`, nil, ""},
		"nothing":             {"", nil, ""},
		"blanks around it":    {" {} \n", nil, ""},
		"half an object":      {`{"a`, nil, "the answer is not JSON"},
		"two objects":         {`{} {}`, nil, "the answer is not JSON"},
		"text behind it":      {"{}\nFatal error", nil, "the answer is not JSON"},
		"a byte order mark":   {"\ufeff{}", nil, "the answer is not JSON"},
		"a page":              {"<html>", nil, "the answer is not JSON"},
		"protobuf":            {"\x0a\x05hello", nil, "the answer is not JSON"},
		"single quotes":       {`{'a': 1}`, nil, "the answer is not JSON"},
		"NaN":                 {`{"a": NaN}`, nil, "the answer is not JSON"},
		"not found":           {"", errors.New("unknown method (404 go.micro.srv.greeter)"), "unknown method (404"},
		"refused":             {"", errors.New("dial tcp 10.0.0.1:1: connect: connection refused (500 go.micro.client)"), "connection refused"},
		"several lines":       {"", errors.New("panic:\nline one\n\x1b[31mtwo"), "panic: line one"},
		"an endless reason":   {"", errors.New(strings.Repeat("x", 100_000)), "xxx"},
		"no reason":           {"", errors.New(""), "Say.Hello:"},
		"an answer and error": {`{}`, errors.New("it is down"), "it is down"},
		"deep nesting":        {strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), nil, "the answer is not JSON"},
	} {
		f := &fakeCaller{call: func(context.Context, Call) (json.RawMessage, error) { return json.RawMessage(c.answer), c.err }}
		_, err := run(t, rpcProbeOf(t, f), 5*time.Second)
		switch {
		case (err == nil) != (c.want == ""):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		case err != nil && (!strings.Contains(err.Error(), c.want) || len(err.Error()) > maxReason || strings.ContainsAny(err.Error(), "\n\x1b")):
			t.Errorf("%s: %q, want %q as one short line", name, err, c.want)
		}
	}
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

// listening is a listener that began long ago.
type listening struct{}

func (listening) Since() time.Time          { return time.Time{} }
func (listening) Watch(string) (end func()) { return func() {} }

type fakeEvents struct {
	Listener
	checks []Check
}

func published(checks ...Check) fakeEvents { return fakeEvents{listening{}, checks} }

func (f fakeEvents) Checks(_ context.Context, service, check, node string) ([]Check, error) {
	var list []Check
	for _, c := range f.checks {
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
		"ok":              {published(at("a", CheckOK, false)), "", 0, false, ""},
		"warning":         {published(at("a", CheckWarning, false)), "", 0.5, true, ""},
		"error":           {published(at("a", CheckError, false)), "", 1, false, ""},
		"unknown":         {published(at("a", CheckUnknown, false)), "", 1, false, "the publisher reports UNKNOWN"},
		"silent":          {published(at("a", CheckOK, true)), "", 1, false, "no report for 7s"},
		"never":           {published(), "", 1, false, "never published"},
		"worst":           {published(at("a", CheckOK, false), at("b", CheckError, false), at("c", CheckWarning, false)), "", 1, false, ""},
		"one has gone":    {published(at("a", CheckOK, false), at("b", CheckError, true)), "", 0, false, ""},
		"the named":       {published(at("a", CheckOK, false), at("b", CheckError, false)), `node = "a"`, 0, false, ""},
		"the named, gone": {published(at("a", CheckOK, false), at("b", CheckError, true)), `node = "b"`, 1, false, "no report"},
		"another service": {published(at("a", CheckOK, false)), `node = "z"`, 1, false, "never published"},
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
	refused(t, "event", "service = \"s\"", Env{Events: published()})
}

// Faults: M3, U3.
func TestStoppedNodesAreNoFailureUnlessAsked(t *testing.T) {
	running := Check{Node: "a", Status: CheckError, Error: "disk is full"}
	late := Check{Node: "late", Stale: true, Age: time.Minute}
	stopped := Check{Node: "b", Status: CheckError, Stopped: true, Error: "old"}
	for name, c := range map[string]struct {
		checks  []Check
		keys    string
		want    Result
		wantErr string
	}{
		"all":                 {[]Check{stopped, stopped}, "", Result{Stopped: true, Detail: "stopped on purpose: all of 2 nodes"}, ""},
		"the only one":        {[]Check{stopped}, "", Result{Stopped: true, Detail: "stopped on purpose"}, ""},
		"one of two":          {[]Check{stopped, running}, "", Result{Value: 1, Detail: `ERROR, published by "a" 0s ago: disk is full`, Cause: `ERROR, published by "a" 0s ago: disk is full`}, ""},
		"beside a silent one": {[]Check{stopped, late}, "", Result{Value: 1}, "no report for 1m0s"},
		"asked":               {[]Check{stopped}, "stopped_is_failure = true", Result{Value: 1}, "stopped on purpose"},
	} {
		t.Run(name, func(t *testing.T) {
			p := build(t, "event", "service = \"shop\"\ncheck = \"db\"\n"+c.keys, Env{Events: published(c.checks...)})
			got, err := run(t, p, time.Second)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (err != nil) != (c.wantErr != "") || err != nil && !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("error %v, want %q", err, c.wantErr)
			}
		})
	}
	gone := publishedStats(NodeStats{Node: "a", Stopped: true})
	keys := "service = \"shop\"\nmetric = \"count\"\n"
	if r := ok(t, build(t, "stats", keys, Env{Stats: gone})); !r.Stopped {
		t.Errorf("stats of a stopped node give %+v", r)
	}
	fails(t, build(t, "stats", keys+"stopped_is_failure = true", Env{Stats: gone}), "stopped on purpose")
}

// young is a listener that has just begun.
type young struct {
	listening
	since time.Time
}

func (y young) Since() time.Time { return y.since }

// Within an interval and grace of the start of the instance, what was never published is
// no failure.
func TestPublishersHaveTimeToReportAfterAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := young{since: time.Now()}
		probes := map[string]Probe{
			"event": build(t, "event", "service = \"shop\"\ncheck = \"db\"", Env{Events: fakeEvents{Listener: start}}),
			"stats": build(t, "stats", "service = \"shop\"\nmetric = \"count\"", Env{Stats: fakeStats{Listener: start}}),
		}
		time.Sleep(warmUp - time.Second)
		for name, p := range probes {
			if r, err := p.Probe(t.Context()); err != nil || !r.Pending {
				t.Errorf("%s: %+v, %v before the end of the warm-up", name, r, err)
			}
		}
		time.Sleep(time.Second)
		for name, p := range probes {
			if _, err := p.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "never published") {
				t.Errorf("%s: %v after the warm-up", name, err)
			}
		}
	})
}

// watcher counts watches.
type watcher struct {
	listening
	watched map[string]int
}

func (w watcher) Watch(service string) (end func()) {
	w.watched[service]++
	return func() { w.watched[service]-- }
}

func TestProbesOfEventsWatchTheirServiceUntilTheyAreClosed(t *testing.T) {
	w := watcher{watched: make(map[string]int)}
	env := Env{Events: fakeEvents{Listener: w}, Stats: fakeStats{Listener: w}}
	for kind, keys := range map[string]string{"event": `check = "db"`, "stats": `metric = "count"`} {
		p, err := New(Builtin(), kind, decodeTOML("service = \"shop\"\n"+keys), env)
		if err != nil {
			t.Fatal(err)
		}
		if w.watched["shop"] != 1 {
			t.Errorf("%s: watched %d times, want once", kind, w.watched["shop"])
		}
		if err := p.Close(); err != nil || w.watched["shop"] != 0 {
			t.Errorf("%s: still watched after its end: %v", kind, err)
		}
	}
}

type fakeStats struct {
	Listener
	nodes []NodeStats
}

func publishedStats(nodes ...NodeStats) fakeStats { return fakeStats{listening{}, nodes} }

func (f fakeStats) Stats(context.Context, string) ([]NodeStats, error) {
	return slices.Clone(f.nodes), nil
}

func TestStatsMetrics(t *testing.T) {
	second := float64(time.Second)
	source := publishedStats([]NodeStats{
		{Node: "a", HeapInUse: 100, UserTime: 2e9, Endpoints: []EndpointStats{
			{"Say.Hello", RequestStats{90, second, second / 2, 2 * second}, RequestStats{10, second, 0, 3 * second}, RequestStats{Count: 4}},
			{"Say.Bye", RequestStats{Count: 100, Upper95: 9 * second}, RequestStats{}, RequestStats{}},
		}},
		{Node: "b", HeapInUse: 300, UserTime: 1e9, Endpoints: []EndpointStats{
			{"Say.Hello", RequestStats{Count: 100, Mean: 2 * second}, RequestStats{}, RequestStats{}},
		}},
		{Node: "gone", Stale: true, HeapInUse: 9999},
		{Node: "stopped", Stopped: true, HeapInUse: 9999},
	}...)
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
	silent := publishedStats(NodeStats{Node: "a", Stale: true, Age: time.Minute})
	fails(t, build(t, "stats", "service = \"shop\"\nmetric = \"count\"", Env{Stats: silent}), "no report for 1m0s")
	fails(t, build(t, "stats", "service = \"shop\"\nmetric = \"count\"", Env{Stats: publishedStats()}), "never published")
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
