package handler

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/logger"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/guard"
	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/ingest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

func TestMain(m *testing.M) {
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

// view is a store that is fed through package ingest. What is fed is in the store
// when feed returns.
type view struct{ store *store.Store }

func newView() *view { return &view{store.New(store.Config{})} }

func (v *view) feed(t testing.TB, messages ...*broker.Message) {
	t.Helper()
	bus := broker.NewMemoryBroker()
	if err := bus.Connect(); err != nil {
		t.Fatal(err)
	}
	events := ingest.NewEvents(ingest.Config{Store: v.store, Log: slog.New(slog.DiscardHandler)})
	if err := events.Subscribe(bus); err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if err := bus.Publish(m.Header["Topic"], m); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(events.Unsubscribe(), bus.Disconnect()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := events.Run(ctx); err != nil { // drains
		t.Fatal(err)
	}
}

// topics of the bus by the kind of their events.
var topics = map[store.Kind]string{
	store.KindCheck: health.TopicHealthCheck, store.KindStatus: health.TopicStatus, store.KindStats: health.TopicStats,
}

// busMessage is an event as a broker delivers it.
func busMessage(kind store.Kind, contentType string, body []byte) *broker.Message {
	return &broker.Message{Header: map[string]string{"Topic": topics[kind], "Content-Type": contentType}, Body: body}
}

func (v *view) feedMessages(t testing.TB, messages ...proto.Message) {
	t.Helper()
	var all []*broker.Message
	for _, m := range messages {
		all = append(all, busMessage(kindOf(m), "application/protobuf", wireOf(t, m)))
	}
	v.feed(t, all...)
}

func kindOf(m proto.Message) store.Kind {
	switch m.(type) {
	case *healthpb.HealthCheck:
		return store.KindCheck
	case *healthpb.Status:
		return store.KindStatus
	}
	return store.KindStats
}

func (v *view) monitor() *Monitor {
	return NewMonitor(Config{Store: v.store, Instance: "monitor-1", Log: slog.New(slog.DiscardHandler)})
}

// reference is a Monitor that answers with messages only, as the generated code wants it.
type reference struct{ *Monitor }

var _ monitorpb.MonitorHandler = reference{}

func (r reference) HealthChecks(_ context.Context, req *monitorpb.HealthChecksRequest, rsp *monitorpb.HealthChecksResponse) error {
	rsp.Instance, rsp.Started = r.instance, r.started
	q, err := checkQuery(req)
	if err != nil {
		return rpcError(r.log, err)
	}
	checks, page, err := messages(r.store.Checks, q, store.Check.Proto)
	rsp.HealthChecks, rsp.Total, rsp.Cursor = checks, int64(page.Total), page.Next
	return rpcError(r.log, err)
}

// port is a real server of go-micro behind the guarded transport.
type port struct {
	address string
	server  server.Server
}

// serve serves m until the test ends.
func serve(tb testing.TB, m *Monitor) *port {
	tb.Helper()
	return serveWith(tb, func(s server.Server) error { return s.Handle(s.NewHandler(m)) }, server.Codec("application/json", JSONCodec()))
}

// serveReference serves m with messages and the codecs of go-micro.
func serveReference(tb testing.TB, m *Monitor) *port {
	tb.Helper()
	return serveWith(tb, func(s server.Server) error { return monitorpb.RegisterMonitorHandler(s, reference{m}) })
}

func serveWith(tb testing.TB, register func(server.Server) error, opts ...server.Option) *port {
	tb.Helper()
	quiet := slog.New(slog.DiscardHandler)
	s := server.NewServer(append([]server.Option{
		server.Name("go.micro.srv.monitor"),
		server.Address("127.0.0.1:0"),
		server.Registry(registry.NewMemoryRegistry()),
		server.Broker(broker.NewMemoryBroker()),
		server.Transport(guardtransport.New(guardtransport.Config{Log: quiet})),
		server.WithLogger(guard.NewLogger(quiet)),
	}, opts...)...)
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
	return &port{address: s.Options().Address, server: s}
}

// client returns a stock client of the port.
func (p *port) client(contentType string) monitorpb.MonitorService {
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

func (p *port) at() client.CallOption { return client.WithAddress(p.address) }

// post sends a request as curl does, and returns the answer.
func (p *port) post(tb testing.TB, header map[string]string, body string) (*http.Response, string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.address+"/", bytes.NewReader([]byte(body)))
	if err != nil {
		tb.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	req.Close = true
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer rsp.Body.Close()
	answer, err := io.ReadAll(rsp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return rsp, string(answer)
}

// ask calls a method with JSON, and returns the JSON of the answer or of the
// error.
func (p *port) ask(tb testing.TB, method, request string) (status int, answer string) {
	tb.Helper()
	rsp, body := p.post(tb, map[string]string{
		"Content-Type": "application/json", "Micro-Endpoint": "Monitor." + method,
	}, request)
	if e := rsp.Header.Get("Micro-Error"); e != "" {
		return rsp.StatusCode, e
	}
	return rsp.StatusCode, body
}

func read(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}
