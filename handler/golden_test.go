package handler

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go-micro.dev/v4/codec"
	stock "go-micro.dev/v4/codec/json"
	pbcodec "go-micro.dev/v4/codec/proto"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	"github.com/microhq/monitor-srv/internal/testkit/rpctest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
)

// What depends on the time of the test or is opaque, with what stands for it.
var masks = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`"(received|since|started|oldest_seq)":\d+`), `"$1":1`},
	{regexp.MustCompile(`"seq":\d+,"timestamp":\d+`), `"seq":1,"timestamp":1`},
	{regexp.MustCompile(`"seq":\d+`), `"seq":1`},
	{regexp.MustCompile(`"cursor":"[^"]+"`), `"cursor":"opaque"`},
}

func steady(answer string) string {
	for _, m := range masks {
		answer = m.pattern.ReplaceAllString(answer, m.with)
	}
	return answer
}

// calls are the golden files with what was asked, the method being the first
// word of the name.
var calls = map[string]string{
	"HealthChecks-failing": `{"id":"go.micro.healthcheck.pong"}`,
	"HealthChecks-all":     `{}`,
	"HealthChecks-none":    `{"status":3}`,
	"HealthChecks-page":    `{"limit":1}`,
	"Services":             `{}`,
	"Status":               `{}`,
	"Status-verbose":       `{"verbose":true}`,
	"Stats":                `{}`,
	"History":              `{}`,
	"Watch":                `{}`,
}

func goldenView(t testing.TB) *view {
	v := newView()
	for _, kind := range kinds {
		body, contentType := eventtest.Old(t, kind, false)
		v.feed(t, busMessage(kind, contentType, body))
	}
	ping := eventtest.Check()
	ping.Id, ping.Status, ping.Error = "go.micro.healthcheck.ping", 1, ""
	ping.Results["html"] = "<b>&</b>\u2028 \"é\"\n"
	ping.Service.Nodes[0].Address = "10.0.0.7:8080"
	ping.Service.Nodes[0].Metadata = map[string]string{"zone": "a"}
	v.feedMessages(t, ping)
	return v
}

// The JSON shape is a contract with those who run `micro call`: names of the
// .proto file, numbers for enums and 64-bit integers, zero values absent. Ours are
// the bytes that go-micro's codec writes of messages.
// Faults: Trap9.
func TestGoldenJSON(t *testing.T) {
	m := goldenView(t).monitor()
	ours := serve(t, m)
	gomicros := serveReference(t, m)
	for name, request := range calls {
		method, _, _ := strings.Cut(name, "-")
		status, answer := ours.Ask(t, method, request)
		if status != 200 {
			t.Errorf("%s: status %d: %s", name, status, answer)
			continue
		}
		if _, want := gomicros.Ask(t, method, request); answer != want {
			t.Errorf("%s:\nours  %s\nstock %s", name, answer, want)
		}
		file := "testdata/golden/" + name + ".json"
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(file, []byte(steady(answer)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(read(t, file), steady(answer)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestGoldenJSONOfTheFailingCheckReadsAsItSays(t *testing.T) {
	var answer struct {
		HealthChecks []map[string]any `json:"healthChecks"`
		Total        float64          `json:"total"`
	}
	if err := json.Unmarshal([]byte(read(t, "testdata/golden/HealthChecks-failing.json")), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.HealthChecks) != 1 || answer.Total != 1 {
		t.Fatalf("%d checks, total %v, want 1", len(answer.HealthChecks), answer.Total)
	}
	got := answer.HealthChecks[0]
	for _, k := range []string{"received", "since", "skewed", "status_name"} {
		delete(got, k)
	}
	want := map[string]any{
		"id": "go.micro.healthcheck.pong", "description": "This is a pong healthcheck",
		"timestamp": 1478822400.0, "interval": 60.0, "ttl": 3600.0, "status": 2.0,
		"service": map[string]any{
			"name": "go.micro.srv.pong", "version": "1.0.0", "id": eventtest.OldNode,
			"nodes": []any{map[string]any{"id": eventtest.OldNode}},
		},
		"results": map[string]any{
			"foo": "ugh", "label": "", "metric": "-0.0001", "msg": "a failed check", "stats": "NaN",
		},
		"error": "Unknown exception",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A stock client must read the same from each content type that the transport lets
// through, and from messages.
// Faults: Trap9.
func TestStockClientsReadTheSame(t *testing.T) {
	m := goldenView(t).monitor()
	want := new(monitorpb.HealthChecksResponse)
	if err := (reference{m}).HealthChecks(t.Context(), &monitorpb.HealthChecksRequest{}, want); err != nil {
		t.Fatal(err)
	}
	if len(want.HealthChecks) != 2 || want.HealthChecks[1].Status != 2 {
		t.Fatalf("unexpected view: %v", want)
	}
	for name, p := range map[string]*rpctest.Port{"ours": serve(t, m), "messages": serveReference(t, m)} {
		for _, contentType := range []string{"application/protobuf", "application/json"} {
			got, err := p.Client(contentType).HealthChecks(t.Context(), &monitorpb.HealthChecksRequest{}, p.At())
			if err != nil {
				t.Errorf("%s, %s: %v", name, contentType, err)
				continue
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, contentType, diff)
			}
		}
	}
}

// Whoever looks up the service in the registry sees the endpoints of the generated
// code, but for the Go type of a check.
func TestEndpointsAreThoseOfTheGeneratedCode(t *testing.T) {
	want := generatedEndpoints(t)
	for _, e := range want {
		if e.Name == "Monitor.HealthChecks" {
			e.Response.Values[0].Type = "[]Check"
		}
	}
	got := server.NewRpcHandler(newView().monitor()).Endpoints()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// generatedEndpoints returns the endpoints that the generated code registers.
func generatedEndpoints(t *testing.T) []*registry.Endpoint {
	t.Helper()
	var s recorded
	if err := monitorpb.RegisterMonitorHandler(&s, reference{}); err != nil {
		t.Fatal(err)
	}
	return s.handler.Endpoints()
}

// recorded is a server that keeps the handler.
type recorded struct {
	server.Server
	handler server.Handler
}

func (*recorded) NewHandler(h any, opts ...server.HandlerOption) server.Handler {
	return server.NewRpcHandler(h, opts...)
}

func (r *recorded) Handle(h server.Handler) error { r.handler = h; return nil }

// texts are strings of any kind that an event may contain.
var texts = rapid.OneOf(
	rapid.String(),
	rapid.SampledFrom([]string{"", "<a href=\"x\">&amp;</a>", "\u2028\u2029\x7f\x00\x1f\b\f\n\r\t\\\"", "𝄞é…"}),
)

// names are those that ingest takes as they are.
var names = rapid.StringMatching(`[a-zA-Z0-9 "<>&é世.:/_-]{0,12}[a-z]`)

var checks = rapid.Custom(func(t *rapid.T) *healthpb.HealthCheck {
	numbers := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{0, 1, -1, 1 << 62}))
	return &healthpb.HealthCheck{
		Id: "id" + names.Draw(t, "id"), Description: texts.Draw(t, "description"), Error: texts.Draw(t, "error"),
		Timestamp: numbers.Draw(t, "timestamp"), Interval: numbers.Draw(t, "interval"), Ttl: numbers.Draw(t, "ttl"),
		Status:  healthpb.HealthCheck_Status(rapid.Int32Range(-1, 4).Draw(t, "status")),
		Results: rapid.MapOfN(texts, texts, 0, 20).Draw(t, "results"),
		Service: &healthpb.Service{Name: "name" + names.Draw(t, "name"), Version: names.Draw(t, "version"), Nodes: []*healthpb.Node{{
			Id: "node" + names.Draw(t, "node"), Address: texts.Draw(t, "address"), Metadata: rapid.MapOfN(texts, texts, 0, 3).Draw(t, "metadata"),
		}}},
	}
})

// An answer has the bytes that the stock codecs write of the same answer in messages.
func TestAnswerIsThatOfMessages(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v := newView()
		for _, c := range rapid.SliceOfN(checks, 0, 4).Draw(rt, "checks") {
			v.feedMessages(t, c)
		}
		m := v.monitor()
		m.instance, m.started = texts.Draw(rt, "instance"), rapid.Int64().Draw(rt, "started")
		req := &monitorpb.HealthChecksRequest{Limit: rapid.Uint64Range(0, 3).Draw(rt, "limit"), Missing: true}
		sameAnswer(rt, m, req)
	})
}

func sameAnswer(t *rapid.T, m *Monitor, req *monitorpb.HealthChecksRequest) {
	rsp, want := new(HealthChecksResponse), new(monitorpb.HealthChecksResponse)
	if err := errors.Join(m.HealthChecks(t.Context(), req, rsp), reference{m}.HealthChecks(t.Context(), req, want)); err != nil {
		t.Fatal(err)
	}
	for contentType, c := range map[string]struct{ ours, stock codec.NewCodec }{
		"protobuf": {pbcodec.NewCodec, pbcodec.NewCodec},
		"JSON":     {JSONCodec(), stock.NewCodec},
	} {
		var got, text eventtest.Buffer
		err := errors.Join(c.ours(&got).Write(&codec.Message{}, rsp), c.stock(&text).Write(&codec.Message{}, want))
		if err != nil {
			t.Fatal(err)
		}
		if contentType == "JSON" && got.String() != text.String() {
			t.Fatalf("got  %s\nwant %s", &got, &text)
		}
		read := new(monitorpb.HealthChecksResponse)
		if err := c.stock(&got).ReadBody(read); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(read, want) {
			t.Fatalf("%s: got  %v\nwant %v", contentType, read, want)
		}
	}
}
