package transport_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"
	"go-micro.dev/v4/transport"
	"google.golang.org/protobuf/proto"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/proto/monitor"
)

// BenchmarkTransport asks for 100 health checks through the stock transport and
// through ours in one run, so that their ratio means something.
//
// The load "client" is the stock client, which spends most of the time of a call
// on decoding the answer. "raw" writes the same request and skips the answer,
// which shows the server alone. The answer is encoded by go-micro for each call
// (List), or was encoded beforehand (Stored), which shows the transport alone.
// "net-http" is a net/http server that writes the same bytes and nothing else.
// cpu-us/call is what load and server use together; unlike the other figures it
// hardly depends on what else the machine does.
func BenchmarkTransport(b *testing.B) {
	for _, c := range []struct{ load, kind, endpoint string }{
		{"client", "protobuf", "List"}, {"client", "protobuf", "Stored"}, {"client", "json", "List"},
		{"raw", "protobuf", "List"}, {"raw", "protobuf", "Stored"}, {"raw", "json", "List"},
	} {
		for _, callers := range []int{1, 16} {
			names := []string{"stock", "guarded"}
			if c.load == "raw" && c.endpoint == "Stored" {
				names = append(names, "net-http")
			}
			for _, name := range names {
				b.Run(fmt.Sprintf("%s/%s/%s/%s/%d", c.load, c.kind, c.endpoint, name, callers), func(b *testing.B) {
					bench := benchCase{load: c.load, kind: "application/" + c.kind, endpoint: c.endpoint, callers: callers}
					switch name {
					case "stock":
						bench.run(b, serve(b, transport.NewHTTPTransport()).addr)
					case "guarded":
						tr := guardtransport.New(guardtransport.Config{})
						bench.run(b, serve(b, tr, server.WrapHandler(tr.Recover())).addr)
					default:
						bench.run(b, serveNetHTTP(b, bench.kind))
					}
				})
			}
		}
	}
}

// benchCase is one way to load a server.
type benchCase struct {
	load, kind, endpoint string
	callers              int
}

func (t benchCase) run(b *testing.B, addr string) {
	caller := t.raw(addr)
	if t.load == "client" {
		caller = t.client(b, addr)
	}
	took := make([][]time.Duration, t.callers)
	var left, lost atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	cpu := testkit.CPUTime(b)
	b.ResetTimer()
	for i := range t.callers {
		wg.Go(func() {
			call, done := caller()
			defer done()
			for left.Add(-1) >= 0 {
				start := time.Now()
				if err := call(); err != nil {
					lost.Add(1)
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	cpu = testkit.CPUTime(b) - cpu
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(cpu.Microseconds())/float64(len(all)), "cpu-us/call")
	b.ReportMetric(float64(lost.Load()), "lost")
}

// serveNetHTTP starts a net/http server that writes the stored answer.
func serveNetHTTP(b *testing.B, kind string) (addr string) {
	answer, err := proto.Marshal(manyChecks(100))
	if err != nil {
		b.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(answer)
	}))
	b.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// client returns callers that share a stock client.
func (t benchCase) client(b *testing.B, addr string) func() (call func() error, done func()) {
	c := newClient(b)
	req := c.NewRequest("go.micro.srv.sample", "Probe."+t.endpoint, &monitor.HealthChecksRequest{Limit: 100}, client.WithContentType(t.kind))
	return func() (func() error, func()) {
		return func() error {
			var rsp monitor.HealthChecksResponse
			err := c.Call(context.Background(), req, &rsp, client.WithAddress(addr))
			if err == nil && len(rsp.GetHealthChecks()) != 100 {
				err = fmt.Errorf("got %d checks, want 100", len(rsp.GetHealthChecks()))
			}
			return err
		}, func() {}
	}
}

// raw returns callers with a connection each.
func (t benchCase) raw(addr string) func() (call func() error, done func()) {
	body := []byte(`{"limit":100}`)
	if t.kind == "application/protobuf" {
		body, _ = proto.Marshal(&monitor.HealthChecksRequest{Limit: 100})
	}
	var wire bytes.Buffer
	fmt.Fprintf(&wire, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nMicro-Endpoint: Probe.%s\r\nMicro-Service: go.micro.srv.sample\r\nTimeout: 5000000000\r\nContent-Length: %d\r\n\r\n%s",
		addr, t.kind, t.endpoint, len(body), body)
	return func() (func() error, func()) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return func() error { return err }, func() {}
		}
		in := bufio.NewReaderSize(conn, 64<<10)
		return func() error { return rawCall(conn, in, wire.Bytes()) }, func() { _ = conn.Close() }
	}
}

func rawCall(conn net.Conn, in *bufio.Reader, wire []byte) error {
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write(wire); err != nil {
		return err
	}
	rsp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, rsp.Body)
	if err == nil && (rsp.StatusCode != http.StatusOK || n < 20_000) {
		err = fmt.Errorf("got status %d and %d bytes", rsp.StatusCode, n)
	}
	return err
}
