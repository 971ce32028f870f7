// Package rpctest serves the service Monitor to tests as an instance does.
package rpctest

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/codec"
	"go-micro.dev/v4/logger"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"go.uber.org/goleak"

	"github.com/microhq/monitor-srv/guard"
	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
)

// Port is a real server of go-micro behind the guarded transport.
type Port struct {
	Address string
	Server  server.Server
}

// Serve serves what register registers until the test ends, with the codec for JSON.
func Serve(tb testing.TB, register func(server.Server) error, json codec.NewCodec) *Port {
	tb.Helper()
	quiet := testkit.QuietLog()
	s := server.NewServer(
		server.Name("go.micro.srv.monitor"),
		server.Address("127.0.0.1:0"),
		server.Registry(registry.NewMemoryRegistry()),
		server.Broker(broker.NewMemoryBroker()),
		server.Transport(guardtransport.New(guardtransport.Config{Log: quiet})),
		server.Codec("application/json", json),
		server.WithLogger(guard.NewLogger(quiet)),
	)
	if err := register(s); err != nil {
		tb.Fatal(err)
	}
	if err := s.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return &Port{Address: s.Options().Address, Server: s}
}

// Client returns a stock client of the port.
func (p *Port) Client(contentType string) monitorpb.MonitorService {
	return monitorpb.NewMonitorService("go.micro.srv.monitor", client.NewClient(
		client.ContentType(contentType),
		client.Registry(registry.NewMemoryRegistry()),
		client.Broker(broker.NewMemoryBroker()),
		client.Retries(0),
		client.PoolSize(0),
		client.RequestTimeout(time.Minute),
		// With the race detector on a busy machine a large answer takes longer than
		// the usual five seconds.
		func(o *client.Options) { o.CallOptions.ConnectionTimeout = time.Minute },
	))
}

// At returns the option that calls the port.
func (p *Port) At() client.CallOption { return client.WithAddress(p.Address) }

// Post sends a request as curl does, and returns the answer.
func (p *Port) Post(tb testing.TB, header map[string]string, body string) (*http.Response, string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.Address+"/", bytes.NewReader([]byte(body)))
	if err != nil {
		tb.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	req.Close = true
	rsp, answer := testkit.Do(tb, http.DefaultClient, req)
	return rsp, answer
}

// Ask calls a method with JSON, and returns the JSON of the answer or of the
// error.
func (p *Port) Ask(tb testing.TB, method, request string) (status int, answer string) {
	tb.Helper()
	rsp, body := p.Post(tb, map[string]string{ //nolint:bodyclose // Post closes it
		"Content-Type": "application/json", "Micro-Endpoint": "Monitor." + method,
	}, request)
	if e := rsp.Header.Get("Micro-Error"); e != "" {
		return rsp.StatusCode, e
	}
	return rsp.StatusCode, body
}

// Main runs the tests of a package and fails if goroutines are left.
func Main(m *testing.M) {
	logger.DefaultLogger = logger.NewLogger(logger.WithLevel(logger.FatalLevel))
	goleak.VerifyTestMain(m,
		// What go-micro starts when it is imported, now or a little later.
		goleak.IgnoreTopFunction("go-micro.dev/v4/config/loader/memory.(*watcher).Next"),
		goleak.IgnoreTopFunction("go-micro.dev/v4/config/loader/memory.(*memory).Watch.func1"),
		goleak.IgnoreTopFunction("go-micro.dev/v4/config.(*config).run.func2"),
		// A memory registry has no way to be stopped.
		goleak.IgnoreTopFunction("go-micro.dev/v4/registry.(*memRegistry).ttlPrune"),
		// A client's cache is stopped by the garbage collector.
		goleak.IgnoreTopFunction("github.com/patrickmn/go-cache.(*janitor).Run"),
		// The stock http broker never closes its idle connections, at either end.
		goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
	)
}
