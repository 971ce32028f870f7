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
	"go-micro.dev/v4/metadata"
	"go-micro.dev/v4/server"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
)

// BenchmarkAnswer is a request for 100 checks, from the decoded request to the
// bytes of the answer, with the codecs of go-micro and with what is ours.
func BenchmarkAnswer(b *testing.B) {
	m := fleet(b, 1000).monitor()
	plain := &monitorpb.HealthChecksRequest{Limit: 100}
	marked := &monitorpb.HealthChecksRequest{Limit: 100}
	marked.ProtoReflect().SetUnknown(spliceMark())
	of := func(contentType string) context.Context {
		return metadata.NewContext(context.Background(), metadata.Metadata{"Content-Type": contentType})
	}
	for _, c := range []struct {
		name  string
		ctx   context.Context
		req   *monitorpb.HealthChecksRequest
		codec codec.NewCodec
	}{
		{"protobuf/ours", of("application/protobuf"), plain, pbcodec.NewCodec},
		{"protobuf/stock", of(""), plain, pbcodec.NewCodec},
		{"json/ours", of("application/json"), marked, JSONCodec()},
		{"json/stock", of("application/json"), plain, stock.NewCodec},
	} {
		b.Run(c.name, func(b *testing.B) {
			var out eventtest.Buffer
			enc := c.codec(&out)
			testkit.MeasureCPU(b, func() {
				rsp := new(monitorpb.HealthChecksResponse)
				if err := m.HealthChecks(c.ctx, c.req, rsp); err != nil {
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
		opts                    []server.Option
	}{
		{"protobuf", "application/protobuf", "\x20\x64", nil},
		{"json/ours", "application/json", `{"limit":100}`, nil},
		{"json/stock", "application/json", `{"limit":100}`, []server.Option{server.Codec("application/json", stock.NewCodec)}},
		{"json/empty", "application/json", `{"statuses":[0]}`, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := serve(b, m, c.opts...)
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
