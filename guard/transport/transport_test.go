package transport_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/errors"
	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/server"
	"go-micro.dev/v4/transport"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/proto/monitor"
)

func TestTransportServesStockClients(t *testing.T) {
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{})
	for _, kind := range []string{"application/json", "application/protobuf"} {
		t.Run(kind, func(t *testing.T) {
			c := newClient(t, client.ContentType(kind))
			rsp, err := callProbe(c, s.addr, "List", "")
			if err != nil {
				t.Fatal(err)
			}
			if got := len(rsp.GetHealthChecks()); got != 100 || rsp.GetHealthChecks()[99].GetResults()["leader"] != "db-1" {
				t.Errorf("got %d checks, the last %v", got, rsp.GetHealthChecks()[99])
			}
			_, err = callProbe(c, s.addr, "Fail", `{"id":"x","code":404,"detail":"no such \"check\"\nat all","status":"Not Found"}`)
			if got := errors.FromError(err); got.GetCode() != 404 || got.GetDetail() != "no such \"check\"\nat all" {
				t.Errorf("got error %v, want the handler's own 404", err)
			}
			_, err = callProbe(c, s.addr, "Missing", "")
			if err == nil || !strings.Contains(err.Error(), "can't find method Missing") {
				t.Errorf("got error %v, want go-micro's own", err)
			}
		})
	}
}

func TestTransportDialsAsTheStockOne(t *testing.T) {
	testkit.NoLeaks(t)
	s, tr := serveGuarded(t, guardtransport.Config{})
	stock := serve(t, transport.NewHTTPTransport())
	c := newClient(t, client.Transport(tr))
	for _, addr := range []string{s.addr, stock.addr} {
		if rsp, err := callProbe(c, addr, "Echo", "hello"); err != nil || rsp.GetCursor() != "hello" {
			t.Errorf("got %v and error %v, want hello", rsp, err)
		}
	}
	if got, want := tr.String(), transport.NewHTTPTransport().String(); got != want {
		t.Errorf("got the name %q, want %q", got, want)
	}
}

// The bytes are those that the stock server answers with, too.
func TestTransportServesCurl(t *testing.T) {
	testkit.NoLeaks(t)
	guarded, _ := serveGuarded(t, guardtransport.Config{})
	stock := serve(t, transport.NewHTTPTransport())
	for name, addr := range map[string]string{"guarded": guarded.addr, "stock": stock.addr} {
		for _, header := range []map[string]string{
			{"Micro-Endpoint": "Probe.Echo", "Micro-Id": "7"},
			{"X-Micro-Endpoint": "Probe.Echo", "Micro-Id": "7"},
			{"Micro-Method": "Probe.Echo", "Micro-Id": "7"},
			{"X-Micro-Method": "Probe.Echo", "Micro-Id": "7"},
		} {
			got := post(t, addr, header, strings.NewReader(`{"cursor":"hello"}`))
			if got.status != http.StatusOK || got.body != `{"cursor":"hello"}`+"\n" || got.header.Get("Content-Type") != "application/json" || got.header.Get("Micro-Id") != "7" {
				t.Errorf("%s: %v: got %+v", name, header, got)
			}
		}
	}
}

func TestTransportReadsContentTypes(t *testing.T) {
	testkit.NoLeaks(t)
	s, tr := serveGuarded(t, guardtransport.Config{})
	for kind, want := range map[string]int{
		"application/json":                   200,
		"application/json; charset=utf-8":    200,
		"Application/JSON;charset=utf-8":     200,
		" application/json ;q=1":             200,
		"application/protobuf":               200,
		"application/protobuf; proto=x":      200,
		"application/octet-stream":           200,
		"application/grpc":                   415,
		"application/grpc+proto":             415,
		"application/grpc+json":              415,
		"application/json-rpc":               400,
		"application/proto-rpc":              400,
		"application/x-www-form-urlencoded":  415,
		"multipart/form-data; boundary=x":    415,
		"text/plain":                         415,
		"text/plain; x=application/json":     415,
		"application/json, application/json": 415,
		"application/jsonp":                  415,
		"":                                   415,
	} {
		header := endpointHeader("Echo")
		header["Content-Type"] = kind
		body := "{}"
		if strings.Contains(kind, "proto") || strings.Contains(kind, "octet") {
			body = ""
		}
		if got := post(t, s.addr, header, strings.NewReader(body)); got.status != want {
			t.Errorf("%q: got status %d, want %d: %s", kind, got.status, want, got.body)
		}
	}
	if got := tr.Counters(); got.RefusedOther != 12 || got.Requests != 19 || got.InFlight != 0 {
		t.Errorf("got %+v, want 12 of 19 refused", got)
	}
}

const noEndpoint = `method: missing: name the endpoint, such as "Monitor.Status", in the header Micro-Endpoint or in the envelope`

func TestTransportRefusesWhatIsNoCall(t *testing.T) {
	testkit.NoLeaks(t)
	s, tr := serveGuarded(t, guardtransport.Config{})
	for _, c := range []struct {
		method string
		header map[string]string
		status int
		detail string
	}{
		{"GET", endpointHeader("Echo"), 405, "calls are sent by POST"},
		{"PUT", endpointHeader("Echo"), 405, "calls are sent by POST"},
		{"OPTIONS", nil, 405, "calls are sent by POST"},
		{"POST", map[string]string{"Micro-Endpoint": "Probe.Echo", "Content-Type": "text/plain"}, 415, "the content type must be application/json, application/protobuf, or one of go-micro before 2019: application/json-rpc, application/proto-rpc, application/octet-stream"},
		{"POST", map[string]string{"Micro-Endpoint": "Probe.Echo", "Micro-Stream": "1"}, 501, "streams are not supported: make single calls"},
		{"POST", map[string]string{"Micro-Endpoint": "Probe.Echo", "X-Micro-Stream": "1"}, 501, "streams are not supported: make single calls"},
		{"POST", map[string]string{"Micro-Endpoint": "Probe.Echo", "X-Long": strings.Repeat("x", 16<<10)}, 431, "the header is longer than 16384 bytes"},
		{"POST", nil, 400, noEndpoint},
		{"POST", map[string]string{"Micro-Service": "go.micro.srv.sample"}, 400, noEndpoint},
	} {
		got := do(t, c.method, s.addr, c.header, strings.NewReader("{}"))
		e := errors.Parse(got.body)
		if got.status != c.status || int(e.GetCode()) != c.status || e.GetDetail() != c.detail || e.GetStatus() != http.StatusText(c.status) || e.GetId() != "go.micro.server" {
			t.Errorf("%s %v: got %d %s, want %d %q", c.method, c.header, got.status, got.body, c.status, c.detail)
		}
		if got.status == 405 && got.header.Get("Allow") != "POST" {
			t.Errorf("%s: got Allow %q", c.method, got.header.Get("Allow"))
		}
	}
	if got := tr.Counters(); got.RefusedOther != 9 {
		t.Errorf("got %d refused, want 9", got.RefusedOther)
	}
}

// The stock client drops the error of an HTTP status and takes the empty body
// that is left for an empty answer, if it is protobuf.
func TestTransportRefusalsAreErrorsToStockClients(t *testing.T) {
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{MaxBody: 1000})
	long := metadata.NewContext(context.Background(), metadata.Metadata{"Long": strings.Repeat("x", 20<<10)})
	for _, kind := range []string{"application/json", "application/protobuf"} {
		c := newClient(t, client.ContentType(kind))
		for want, call := range map[int32]func() error{
			413: func() error {
				_, err := callProbe(c, s.addr, "Echo", strings.Repeat("x", 2000))
				return err
			},
			431: func() error {
				req := c.NewRequest("go.micro.srv.sample", "Probe.Echo", &monitor.HealthChecksRequest{})
				return c.Call(long, req, new(monitor.HealthChecksResponse), client.WithAddress(s.addr))
			},
			500: func() error {
				_, err := callProbe(c, s.addr, "Vanish", "")
				return err
			},
		} {
			if err := call(); errors.FromError(err).GetCode() != want {
				t.Errorf("%s: got error %v, want code %d", kind, err, want)
			}
		}
	}
}

func TestTransportTellsStockClientsThatThereAreNoStreams(t *testing.T) {
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{})
	c := newClient(t)
	stream, err := c.Stream(context.Background(), c.NewRequest("go.micro.srv.sample", "Probe.Echo", &monitor.HealthChecksRequest{}), client.WithAddress(s.addr))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if err := stream.Recv(new(monitor.HealthChecksResponse)); err == nil || !strings.Contains(err.Error(), "streams are not supported") {
		t.Errorf("got error %v, want one that speaks of streams", err)
	}
}

// Handlers see what callers sent, but for what steers go-micro's server.
func TestTransportPassesMetadata(t *testing.T) {
	testkit.NoLeaks(t)
	seen := make(chan metadata.Metadata, 1)
	spy := func(next server.HandlerFunc) server.HandlerFunc {
		return func(ctx context.Context, req server.Request, rsp any) error {
			md, _ := metadata.FromContext(ctx)
			seen <- md
			return next(ctx, req, rsp)
		}
	}
	s, _ := serveGuarded(t, guardtransport.Config{}, server.WrapHandler(spy))
	got := post(t, s.addr, map[string]string{
		"Micro-Endpoint": "Probe.Echo", "Authorization": "Bearer x", "Micro-Protocol": "grpc", "X-Micro-Protocol": "grpc",
		"Micro-Target": "y", "X-Micro-Target": "y", "Micro-Error": "EOS", "X-Micro-Error": "EOS", "Remote": "1.2.3.4",
	}, strings.NewReader("{}"))
	md := <-seen
	if md["Authorization"] != "Bearer x" || md["Micro-Protocol"] != "mucp" || !strings.HasPrefix(md["Remote"], "127.0.0.1:") || md["Local"] != s.addr {
		t.Errorf("got metadata %v", md)
	}
	for _, key := range []string{"Micro-Target", "X-Micro-Target", "Micro-Error", "X-Micro-Error", "X-Micro-Protocol"} {
		if v, ok := md[key]; ok {
			t.Errorf("the handler got %s: %q", key, v)
		}
	}
	if got.status != 200 || got.header.Get("Micro-Error") != "" || got.header.Get("Authorization") != "" {
		t.Errorf("got %+v", got)
	}
}

// The stock server repeats the whole header of the request in its answers.
func TestTransportDoesNotRepeatSecretsInErrors(t *testing.T) {
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{})
	header := endpointHeader("Fail")
	header["Authorization"], header["Cookie"] = "Bearer x", "a=b"
	got := post(t, s.addr, header, strings.NewReader(`{"cursor":"`+strings.Repeat("e", 100_000)+`"}`))
	want := []string{"Content-Length", "Content-Type", "Date", "Micro-Error", "X-Micro-Error"}
	if keys := slices.Sorted(maps.Keys(got.header)); got.status != 200 || !slices.Equal(keys, want) {
		t.Errorf("got status %d and headers %v, want %v", got.status, keys, want)
	}
	if n := len(got.header.Get("Micro-Error")); n != 4096 || got.header.Get("X-Micro-Error") != got.header.Get("Micro-Error") {
		t.Errorf("got an error of %d bytes, want it cut at 4096", n)
	}
}
