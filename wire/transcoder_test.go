package wire

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
)

func responseShape() *Transcoder {
	return NewTranscoder((&monitorpb.HealthChecksResponse{}).ProtoReflect().Descriptor())
}

// sameJSON verifies that the shape writes the wire bytes as encoding/json writes
// the message that they are, and reports whether it could.
func sameJSON(t interface {
	Helper()
	Fatalf(string, ...any)
}, s *Transcoder, wire []byte) bool {
	t.Helper()
	m := new(monitorpb.HealthChecksResponse)
	if proto.Unmarshal(wire, m) != nil {
		return false
	}
	want, err := json.Marshal(m)
	if err != nil {
		t.Fatalf("stock: %v", err)
	}
	got, ok := s.AppendJSON(nil, wire)
	if ok && string(got) != string(want) {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	return ok
}

func TestShapeWritesWhatEncodingJSONWrites(t *testing.T) {
	s := responseShape()
	if s == nil {
		t.Fatal("the answer has a field that the shape cannot write")
	}
	texts := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"", "<a href=\"x\">&amp;</a>", "\u2028\u2029\x7f\x00\x1f\b\f\n\r\t\\\"", "𝄞é…"}),
	)
	numbers := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{0, 1, -1, 1 << 62}))
	check := rapid.Custom(func(t *rapid.T) *healthpb.HealthCheck {
		c := &healthpb.HealthCheck{
			Id: texts.Draw(t, "id"), Description: texts.Draw(t, "description"), Error: texts.Draw(t, "error"),
			Timestamp: numbers.Draw(t, "timestamp"), Interval: numbers.Draw(t, "interval"), Ttl: numbers.Draw(t, "ttl"),
			Status:   healthpb.HealthCheck_Status(rapid.Int32().Draw(t, "status")),
			Reported: healthpb.HealthCheck_Status(rapid.Int32Range(0, 3).Draw(t, "reported")),
			Source:   healthpb.HealthCheck_Source(rapid.Int32Range(0, 2).Draw(t, "source")),
			Missing:  rapid.Bool().Draw(t, "missing"), Skewed: rapid.Bool().Draw(t, "skewed"),
			Results: rapid.MapOfN(texts, texts, 0, 20).Draw(t, "results"),
		}
		if rapid.Bool().Draw(t, "has service") {
			c.Service = &healthpb.Service{Name: texts.Draw(t, "name"), Id: texts.Draw(t, "node")}
			for range rapid.IntRange(0, 3).Draw(t, "nodes") {
				c.Service.Nodes = append(c.Service.Nodes, &healthpb.Node{
					Id: texts.Draw(t, "node"), Metadata: rapid.MapOfN(texts, texts, 0, 3).Draw(t, "metadata"),
				})
			}
		}
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		rsp := &monitorpb.HealthChecksResponse{
			HealthChecks: rapid.SliceOfN(check, 0, 4).Draw(t, "checks"),
			Total:        numbers.Draw(t, "total"), Cursor: texts.Draw(t, "cursor"),
			Instance: texts.Draw(t, "instance"), Started: numbers.Draw(t, "started"),
		}
		wire, err := proto.Marshal(rsp)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if !sameJSON(t, s, wire) {
			t.Fatalf("not written: %v", rsp)
		}
	})
}

func FuzzShape(f *testing.F) {
	s := responseShape()
	plain := &monitorpb.HealthChecksResponse{HealthChecks: []*healthpb.HealthCheck{eventtest.Check()}, Total: 1}
	wire := eventtest.Wire(f, plain)
	f.Add(wire)
	f.Add(append(wire, wire...))
	f.Add(AppendBytes(nil, 1, append(identityOf("s", "1", "n", "x"), identityOf("s", "1", "n", "y")...)))
	f.Fuzz(func(t *testing.T, wire []byte) { sameJSON(t, s, wire) })
}

func TestAppendStringIsThatOfEncodingJSON(t *testing.T) {
	s := "\xff\xfe" + strings.Repeat("a", 10) + "\u2028"
	for c := range rune(0x300) {
		s += string(c)
	}
	want, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if got := appendJSONString(nil, []byte(s)); string(got) != string(want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
