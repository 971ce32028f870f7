package handler

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	stock "go-micro.dev/v4/codec/json"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	"github.com/microhq/monitor-srv/internal/testkit/rpctest"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
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
// .proto file, numbers for enums and 64-bit integers, zero values absent. The
// codec of go-micro and ours must write the same bytes.
// Faults: Trap9.
func TestGoldenJSON(t *testing.T) {
	m := goldenView(t).monitor()
	ours := serve(t, m)
	gomicros := serve(t, m, server.Codec("application/json", stock.NewCodec))
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
	for _, k := range []string{"received", "since", "skewed"} {
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

// A stock client must read the same from both content types and both codecs.
// Faults: Trap9.
func TestStockClientsReadTheSame(t *testing.T) {
	m := goldenView(t).monitor()
	ours := serve(t, m)
	gomicros := serve(t, m, server.Codec("application/json", stock.NewCodec))
	want := new(monitorpb.HealthChecksResponse)
	if err := m.HealthChecks(t.Context(), &monitorpb.HealthChecksRequest{}, want); err != nil {
		t.Fatal(err)
	}
	if len(want.HealthChecks) != 2 || want.HealthChecks[1].Status != 2 {
		t.Fatalf("unexpected view: %v", want)
	}
	for name, p := range map[string]*rpctest.Port{"ours": ours, "stock": gomicros} {
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

func TestSplicedAnswerIsThatOfTheMessages(t *testing.T) {
	v := goldenView(t)
	wire, page, err := spliceChecks(v.store, store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	got, built := new(monitorpb.HealthChecksResponse), new(monitorpb.HealthChecksResponse)
	if err := proto.Unmarshal(wire, got); err != nil {
		t.Fatal(err)
	}
	for _, c := range page.Items {
		built.HealthChecks = append(built.HealthChecks, c.Proto())
	}
	if diff := cmp.Diff(built, got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
