package wire

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// bodyJSON appends results and error of an encoded check.
func bodyJSON(msg []byte) string {
	b := AppendJSONMap([]byte("{"), "results", msg, HealthCheckResults)
	b = AppendJSONString(b, "error", LastBytes(msg, HealthCheckError))
	return string(CloseJSON(b, "}"))
}

func TestMembersAreThoseOfEncodingJSON(t *testing.T) {
	for _, c := range []*healthpb.HealthCheck{
		{},
		{Id: "a", Timestamp: -1 << 63, Interval: 1<<63 - 1, Status: -1, Missing: true},
		{Id: ",", Status: 3},
	} {
		want, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		b := AppendJSONString([]byte("before{"), "id", c.Id)
		b = AppendJSONInt(b, "timestamp", c.Timestamp)
		b = AppendJSONInt(b, "interval", c.Interval)
		b = AppendJSONInt(b, "status", int64(c.Status))
		b = AppendJSONBool(b, "missing", c.Missing)
		if got := string(CloseJSON(b, "}")); got != "before"+string(want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestStringsAreThoseOfEncodingJSON(t *testing.T) {
	all := []string{"", "plain", "\xff\xfe" + strings.Repeat("a", 10) + "\u2028", "cut \xe2\x80"}
	for c := range rune(0x300) {
		all = append(all, string(c), "a"+string(c)+"b")
	}
	for _, s := range all {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendQuoted(nil, s); string(got) != string(want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestMapInAnyForm(t *testing.T) {
	const num = HealthCheckResults
	noKey := AppendBytes(nil, num, AppendBytes(nil, MapValue, []byte("no key")))
	twoValues := AppendBytes(nil, num, AppendBytes(AppendBytes(AppendBytes(nil, MapValue, []byte("1")), MapKey, []byte("k")), MapValue, []byte("2")))
	for name, msg := range map[string][]byte{
		"none":           nil,
		"repeated key":   AppendMapEntry(AppendMapEntry(AppendMapEntry(nil, num, "k", "1"), num, "a", ""), num, "k", "2"),
		"no key":         noKey,
		"nothing":        AppendBytes(nil, num, nil),
		"two values":     twoValues,
		"other fields":   AppendUint(AppendMapEntry(AppendString(nil, HealthCheckError, "1"), num, "k", "v"), HealthCheckStatus, 2),
		"repeated error": AppendString(AppendString(nil, HealthCheckError, "1"), HealthCheckError, "2"),
		"wrong type":     protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), 1),
	} {
		if want, ok := wantBody(t, msg); !ok || bodyJSON(msg) != want {
			t.Errorf("%s: got %s, want %s, %v", name, bodyJSON(msg), want, ok)
		}
	}
}

// wantBody returns results and error as encoding/json writes them, and whether msg is
// a message.
func wantBody(t *testing.T, msg []byte) (string, bool) {
	t.Helper()
	var m healthpb.HealthCheck
	if proto.Unmarshal(msg, &m) != nil {
		return "", false
	}
	want, err := json.Marshal(&healthpb.HealthCheck{Results: m.Results, Error: m.Error})
	if err != nil {
		t.Fatal(err)
	}
	return string(want), true
}

func FuzzBodyJSON(f *testing.F) {
	body := eventtest.Wire(f, eventtest.Check())
	f.Add(body)
	f.Add(append(body, body...))
	f.Add(body[:len(body)-30])
	f.Fuzz(func(t *testing.T, msg []byte) {
		got := bodyJSON(msg)
		if !json.Valid([]byte(got)) {
			t.Fatalf("not JSON: %s", got)
		}
		if want, ok := wantBody(t, msg); ok && got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}
