package transport_test

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"go-micro.dev/v4/codec/protorpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/proto/monitor"
)

// headersOf are those of clients of go-micro before 2019, by year: none, a target in
// place of a service, and both names of each.
var headersOf = map[string]map[string]string{
	"2016": {},
	"2018": {"X-Micro-Id": "7", "X-Micro-Target": "go.micro.srv.sample", "X-Micro-Method": "Probe.Echo"},
	"2019": {
		"Micro-Id": "7", "Micro-Service": "go.micro.srv.sample", "Micro-Method": "Probe.Echo", "Micro-Endpoint": "Probe.Echo",
		"X-Micro-Id": "7", "X-Micro-Service": "go.micro.srv.sample", "X-Micro-Method": "Probe.Echo", "X-Micro-Endpoint": "Probe.Echo",
	},
}

// Faults: M2.
func TestEnvelopesOfJSONAreAnswered(t *testing.T) {
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{})
	for year, header := range headersOf {
		for _, kind := range []string{"application/json", "application/json-rpc", "application/json; charset=utf-8"} {
			if year == "2019" && kind != "application/json-rpc" {
				continue // it has no envelope then
			}
			for request, want := range map[string]string{
				`{"method":"Probe.Echo","params":[{"cursor":"hello"}],"id":0}`:               `{"id":0,"result":{"cursor":"hello"},"error":null}`,
				`{"id":"7","params":[{"cursor":"a"}],"method":"Probe.Echo","jsonrpc":"1.0"}`: `{"id":"7","result":{"cursor":"a"},"error":null}`,
				`{"method":"Probe.Echo","params":[],"id":18446744073709551615}` + "\n":       `{"id":18446744073709551615,"result":{},"error":null}`,
				`{"method":"Probe.Echo","params":[null]}`:                                    `{"id":null,"result":{},"error":null}`,
				`{"method":"Probe.Fail","params":[{"cursor":"{\"code\":404}"}],"id":1}`:      `{"id":1,"result":null,"error":"{\"code\":404}"}`,
				`{"method":"Probe.Vanish","params":[{}],"id":2}`:                             `{"id":2,"result":null,"error":"{\"id\":\"go.micro.server\",\"code\":500,\"detail\":\"the service did not answer\",\"status\":\"Internal Server Error\"}"}`,
			} {
				got := post(t, s.addr, withKind(header, kind), strings.NewReader(request))
				if got.status != 200 || got.body != want+"\n" {
					t.Errorf("%s, %s, %s: got %d %s, want %s", year, kind, request, got.status, got.body, want)
				}
				sent, _, _ := strings.Cut(kind, ";")
				if answered := got.header.Get("Content-Type"); answered != sent {
					t.Errorf("%s, %s: answered as %s", year, kind, answered)
				}
				if failed := got.header.Get("Micro-Error") != ""; failed == strings.Contains(want, `"error":null`) || got.header.Get("X-Micro-Error") != got.header.Get("Micro-Error") {
					t.Errorf("%s, %s, %s: got the header %v", year, kind, request, got.header)
				}
			}
		}
	}
}

func withKind(header map[string]string, kind string) map[string]string {
	all := maps.Clone(header)
	all["Content-Type"] = kind
	return all
}

// protoEnvelope is a call in two messages, as protorpc of go-micro writes it.
func protoEnvelope(t *testing.T, method string, seq uint64, request proto.Message) string {
	t.Helper()
	head, err := proto.Marshal(protoadapt.MessageV2Of(&protorpc.Request{ServiceMethod: method, Seq: seq}))
	if err != nil {
		t.Fatal(err)
	}
	body, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return netString(head) + netString(body)
}

func netString[T string | []byte](b T) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(b)))) + string(b)
}

// Faults: M2.
func TestEnvelopesOfProtobufAreAnswered(t *testing.T) {
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{})
	request := &monitor.HealthChecksRequest{Cursor: "hello"}
	for year, header := range headersOf {
		for _, kind := range []string{"application/protobuf", "application/proto-rpc", "application/octet-stream"} {
			if year == "2019" && kind == "application/protobuf" {
				continue // it has no envelope then
			}
			for method, failure := range map[string]string{
				"Probe.Echo":   "",
				"Probe.Fail":   "hello",
				"Probe.Vanish": `{"id":"go.micro.server","code":500,"detail":"the service did not answer","status":"Internal Server Error"}`,
			} {
				got := post(t, s.addr, withKind(header, kind), strings.NewReader(protoEnvelope(t, method, 1<<63+7, request)))
				head, rest := cut(t, got.body)
				body, rest := cut(t, rest)
				var m protorpc.Response
				var rsp monitor.HealthChecksResponse
				if err := proto.Unmarshal([]byte(head), protoadapt.MessageV2Of(&m)); err != nil {
					t.Fatal(err)
				}
				if err := proto.Unmarshal([]byte(body), &rsp); err != nil {
					t.Fatal(err)
				}
				if got.status != 200 || m.ServiceMethod != method || m.Seq != 1<<63+7 || rest != "" || got.header.Get("Content-Type") != kind {
					t.Errorf("%s, %s, %s: got %d %+v", year, kind, method, got.status, m)
				}
				if failure == "" && (m.Error != "" || rsp.GetCursor() != "hello") || failure != "" && (!strings.Contains(m.Error, failure) || body != "") {
					t.Errorf("%s, %s, %s: got the error %q and %q, want %q", year, kind, method, m.Error, body, failure)
				}
			}
		}
	}
	// Without an envelope it is the message itself, as clients of 2019 send it.
	plain, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if got := post(t, s.addr, withKind(headersOf["2019"], "application/octet-stream"), strings.NewReader(string(plain))); got.status != 200 || !strings.Contains(got.body, "hello") || got.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("got %+v", got)
	}
	if got := post(t, s.addr, withKind(headersOf["2018"], "application/json"), strings.NewReader(`{"cursor":"hello"}`)); got.body != `{"cursor":"hello"}`+"\n" {
		t.Errorf("got %+v", got)
	}
}

func cut(t *testing.T, b string) (part, rest string) {
	t.Helper()
	if len(b) < 4 || int(binary.BigEndian.Uint32([]byte(b))) > len(b)-4 {
		t.Fatalf("%q is cut", b)
	}
	n := 4 + int(binary.BigEndian.Uint32([]byte(b)))
	return b[4:n], b[n:]
}

// Faults: M2, T66.
func TestMalformedEnvelopesAreRefusedWithTheField(t *testing.T) {
	testkit.NoLeaks(t)
	s, tr := serveGuarded(t, guardtransport.Config{})
	echo := protoEnvelope(t, "Probe.Echo", 1, &monitor.HealthChecksRequest{})
	n := 0
	for _, c := range []struct{ kind, body, want string }{
		{"json", `[]`, "envelope: want a JSON object with method, params and id"},
		{"json", `{"method":`, "envelope: want"},
		{"json", `{"method":"Probe.Echo","params":[{}],"id":1} x`, "envelope: want"},
		{"json", strings.Repeat("[", 20_000), "envelope: want"},
		{"json", `{"method":5,"params":[{}],"id":1}`, `method: want a string such as "Monitor.Status", have 5`},
		{"json", `{"method":"","params":[{}],"id":1}`, "method: missing"},
		{"json", `{"params":[{}],"id":1}`, "method: missing"},
		{"json", ``, "method: missing"},
		{"json", `{"method":"Probe.Echo","params":{},"id":1}`, "params: want a list with one request, have {}"},
		{"json", `{"method":"Probe.Echo","params":[{},{}],"id":1}`, "params: want a list with one request, have [{},{}]"},
		{"json", `{"method":"Probe.Echo","params":[{}],"id":{"a":1}}`, `id: want a number or a string, have {"a":1}`},
		{"protobuf", "", "header: want its length in 4 bytes, have 0"},
		{"protobuf", "\x00\x00", "header: want its length in 4 bytes, have 2"},
		{"protobuf", "\xff\xff\xff\xff\x01", "header: 4294967295 bytes are announced, 1 have come"},
		{"protobuf", "\x00\x00\x00\x00", "body: want its length in 4 bytes, have 0"},
		{"protobuf", "\x00\x00\x00\x00\x00\x00\x00\x00", "method: missing"},
		{"protobuf", echo[:len(echo)-4] + "\x00\x00\x00\x09x", "body: 9 bytes are announced, 1 have come"},
		{"protobuf", echo + "more", "body: 4 bytes follow it"},
		{"protobuf", netString("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f") + netString(""), "header: want service_method and seq"},
	} {
		for _, kind := range []string{"application/" + c.kind, map[string]string{"json": "application/json-rpc", "protobuf": "application/proto-rpc"}[c.kind]} {
			for year, header := range headersOf {
				if strings.HasSuffix(kind, "-rpc") == (year == "2016") {
					continue
				}
				n++
				got := post(t, s.addr, withKind(header, kind), strings.NewReader(c.body))
				var e struct{ Detail string }
				if err := json.Unmarshal([]byte(got.body), &e); err != nil || got.status != 400 || !strings.HasPrefix(e.Detail, c.want) {
					t.Errorf("%s, %s, %q: got %d %s, want 400 %q", year, kind, c.body, got.status, got.body, c.want)
				}
			}
		}
	}
	if got := tr.Counters().RefusedOther; got != uint64(n) {
		t.Errorf("got %d refused, want %d", got, n)
	}
}

// The calls were recorded from go-micro v1.0.0, whose client takes a service at a given
// address for one of 2018.
// Faults: M2.
func TestRecordedCallsOfGoMicro1AreAnswered(t *testing.T) {
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{})
	rpc := netString("\x0a\x0aProbe.Echo\x11"+strings.Repeat("\x00", 8)) + netString("\x1a\x05hello")
	for name, want := range map[string]struct{ kind, body string }{
		"json":         {"application/json-rpc", `{"id":"0","result":{"cursor":"hello"},"error":null}` + "\n"},
		"protobuf":     {"application/proto-rpc", rpc},
		"proto-rpc":    {"application/proto-rpc", rpc},
		"octet-stream": {"application/octet-stream", rpc},
	} {
		conn, in := dial(t, s.addr)
		if _, err := conn.Write(testkit.ReadFile(t, "testdata/micro1/"+name+".request")); err != nil {
			t.Fatal(err)
		}
		got, err := readAnswer(in)
		if err != nil || got.status != 200 || got.body != want.body || got.header.Get("Content-Type") != want.kind {
			t.Errorf("%s: got %+v and error %v, want %q", name, got, err, want)
		}
	}
}
