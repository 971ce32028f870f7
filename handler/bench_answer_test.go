package handler

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go-micro.dev/v4/codec"
	stock "go-micro.dev/v4/codec/json"
	pbcodec "go-micro.dev/v4/codec/proto"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	"github.com/microhq/monitor-srv/internal/testkit/rpctest"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
)

// BenchmarkAnswer is a request for 100 checks, from the decoded request to the
// bytes of the answer, with what is ours, and in messages with the codecs of go-micro.
func BenchmarkAnswer(b *testing.B) {
	m := fleet(b, 1000).monitor()
	ctx, req := context.Background(), &monitorpb.HealthChecksRequest{Limit: 100}
	ours := func() (any, error) {
		rsp := new(HealthChecksResponse)
		return rsp, m.HealthChecks(ctx, req, rsp)
	}
	inMessages := func() (any, error) {
		rsp := new(monitorpb.HealthChecksResponse)
		return rsp, reference{m}.HealthChecks(ctx, req, rsp)
	}
	for _, c := range []struct {
		name   string
		answer func() (any, error)
		codec  codec.NewCodec
	}{
		{"protobuf/ours", ours, pbcodec.NewCodec},
		{"protobuf/stock", inMessages, pbcodec.NewCodec},
		{"json/ours", ours, JSONCodec()},
		{"json/stock", inMessages, stock.NewCodec},
	} {
		b.Run(c.name, func(b *testing.B) {
			var out eventtest.Buffer
			enc := c.codec(&out)
			testkit.MeasureCPU(b, func() {
				rsp, err := c.answer()
				if err != nil {
					b.Fatal(err)
				}
				out.Reset()
				if err := enc.Write(&codec.Message{}, rsp); err != nil {
					b.Fatal(err)
				}
			})
			b.ReportMetric(float64(out.Len()), "bytes")
		})
	}
}

// BenchmarkCall is the same request over the wire, with a bare HTTP client in the
// same process, whose time is counted too.
func BenchmarkCall(b *testing.B) {
	m := fleet(b, 1000).monitor()
	for _, c := range []struct {
		name, contentType, body string
		serve                   func(testing.TB, *Monitor) *rpctest.Port
	}{
		{"protobuf", "application/protobuf", "\x20\x64", serve},
		{"json/ours", "application/json", `{"limit":100}`, serve},
		{"json/stock", "application/json", `{"limit":100}`, serveReference},
		{"json/empty", "application/json", `{"statuses":[0]}`, serve},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := c.serve(b, m)
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			testkit.MeasureCPU(b, func() {
				if _, err := call(client, p.Address, c.contentType, c.body, io.Discard); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkCallHTTP is what net/http takes to write the same bytes to the same
// client.
func BenchmarkCallHTTP(b *testing.B) {
	p := serve(b, fleet(b, 1000).monitor())
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, c := range []struct{ name, contentType, body string }{
		{"protobuf", "application/protobuf", "\x20\x64"},
		{"json", "application/json", `{"limit":100}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			var answer bytes.Buffer
			if _, err := call(client, p.Address, c.contentType, c.body, &answer); err != nil {
				b.Fatal(err)
			}
			bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", c.contentType)
				_, _ = w.Write(answer.Bytes())
			}))
			defer bare.Close()
			testkit.MeasureCPU(b, func() {
				n, err := call(client, bare.Listener.Addr().String(), c.contentType, c.body, io.Discard)
				if err != nil || n != int64(answer.Len()) {
					b.Fatal(n, err)
				}
			})
		})
	}
}

// call asks for checks and copies the answer.
func call(c *http.Client, address, contentType, body string, to io.Writer) (int64, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+address, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Micro-Endpoint", "Monitor.HealthChecks")
	rsp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer rsp.Body.Close()
	n, err := io.Copy(to, rsp.Body)
	if err == nil && (rsp.StatusCode != http.StatusOK || n == 0) {
		err = fmt.Errorf("status %d, %d bytes", rsp.StatusCode, n)
	}
	return n, err
}
