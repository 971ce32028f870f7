package wire

import (
	"math"
	"strconv"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/internal/testkit/eventtest"

	"go-micro.dev/v4/codec/json"
)

func TestNearlyAllJSONIsReadWithoutProtojson(t *testing.T) {
	all := transcoders()
	for _, kind := range kinds {
		old, _ := eventtest.Old(t, kind, true)
		camel, err := protojson.Marshal(eventtest.Typical(kind))
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string][]byte{
			"of 2016": old, "go-micro": eventtest.Encoded(t, json.NewCodec, eventtest.Typical(kind)), "protojson": camel,
		} {
			if _, ok := all[kind].AppendWire(nil, text); !ok {
				t.Errorf("%s, kind %d: left to protojson: %s", name, kind, text)
			}
		}
	}
}

func TestEscapesAreReadWithoutProtojson(t *testing.T) {
	check := transcoders()[kindOfCheck]
	wire, ok := check.AppendWire(nil, []byte(`{"id":"a\"\\\u003c","error":"line\n\tline"}`))
	got := newMessage(kindOfCheck)
	if err := proto.Unmarshal(wire, got); !ok || err != nil {
		t.Fatalf("read %v: %v", ok, err)
	}
	want := eventtest.Check()
	proto.Reset(want)
	want.Id, want.Error = `a"\<`, "line\n\tline"
	if !proto.Equal(want, got) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, torn := range []string{`{"id":"\ud83d"}`, `{"id":"\uDE00"}`, `{"id":"a\"}`} {
		if _, ok := check.AppendWire(nil, []byte(torn)); ok {
			t.Errorf("%s was read", torn)
		}
	}
}

func TestIsNumber(t *testing.T) {
	for s, want := range map[string]bool{
		"0": true, "-0": true, "10": true, "1.50": true, "0.0": true, "1e5": true, "1E+05": true, "-1.5e-3": true,
		"": false, "-": false, "01": false, "1.": false, ".5": false, "1e": false, "1e+": false, "+1": false,
		"1.2.3": false, "1e5e5": false, "--1": false, "1-": false,
	} {
		if got := isNumber([]byte(s)); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

// FuzzFromJSON verifies that what is read without protojson is what protojson
// reads.
// Faults: T62.
func FuzzFromJSON(f *testing.F) {
	all := transcoders()
	for _, kind := range kinds {
		old, _ := eventtest.Old(f, kind, true)
		f.Add(uint8(kind), old)
		f.Add(uint8(kind), eventtest.Encoded(f, json.NewCodec, eventtest.Typical(kind)))
	}
	for _, v := range []string{
		`{"status":"WARNING"}`, `{"status":"3"}`, `{"timestamp":"-7"}`, `{"timestamp":-0}`, `{"timestamp":1e3}`,
		`{"results":{"a":"b","a":"c"}}`, `{"id":"a","id":"b"}`, `{"results":{}} `, `{"service":{"nodes":[{},{"id":"x"}]}}`,
		`{"id":"\u003c"}`, `{"id":"a\"\\","error":"\ud83d\ude00\n"}`, `{"results":{"\t":"\/\u00e9"}}`, `{"id":"\`, `{"id":"\x"}`, `{"skewed":true}`, `{"interval":"12`, `{"service":{"nodes":[{"metadata":{"k":"v"}},]}}`,
		`{"timestamp":` + strconv.Itoa(math.MaxInt64) + `}`,
	} {
		f.Add(uint8(kindOfCheck), []byte(v))
	}
	f.Add(uint8(kindOfStats), []byte(`{"endpoints":[{"stdDev":1}],"cpu":{"userTime":"5"}}`))
	f.Add(uint8(kindOfStats), []byte(`{"endpoints":[{"errors":{"stdDev":1.5e-7,"std_dev":1}}]}`))
	f.Add(uint8(kindOfStats), []byte(`{"endpoints":[{"errors":{"mean":1e999,"upper95":"NaN"},"side":1}]}`))
	f.Fuzz(func(t *testing.T, k uint8, text []byte) {
		kind := kinds[int(k)%len(kinds)]
		if !utf8.Valid(text) {
			return
		}
		wire, ok := all[kind].AppendWire(nil, text)
		if !ok {
			return
		}
		want, got := newMessage(kind), newMessage(kind)
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, want); err != nil {
			t.Fatalf("%s: read what protojson refuses: %v", text, err)
		}
		if err := proto.Unmarshal(wire, got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !proto.Equal(want, got) {
			t.Fatalf("%s:\ngot  %v\nwant %v", text, got, want)
		}
	})
}
