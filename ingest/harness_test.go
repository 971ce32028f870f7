package ingest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
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
	"github.com/microhq/monitor-srv/handler"
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

// view is a store with the door in front of it. What is fed is in the store when
// feed returns.
type view struct {
	store  *store.Store
	events *Events
}

func newView() *view { return newViewOf(store.Config{}) }

func newViewOf(cfg store.Config) *view {
	st := store.New(cfg)
	return &view{st, NewEvents(Config{Store: st, Log: slog.New(slog.DiscardHandler)})}
}

func (v *view) feed(kind store.Kind, contentType string, body []byte) {
	v.events.receive(kind, map[string]string{"Content-Type": contentType}, body)
	v.events.put(v.events.queue.take(make([]*item, 0, batchCount)))
}

func (v *view) feedMessages(t testing.TB, messages ...proto.Message) {
	t.Helper()
	for _, m := range messages {
		v.feed(kindOf(m), "application/protobuf", wireOf(t, m))
	}
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

func (v *view) monitor() *handler.Monitor {
	return handler.NewMonitor(handler.Config{Store: v.store, Instance: "monitor-1", Log: slog.New(slog.DiscardHandler)})
}

// port is a real server of go-micro behind the guarded transport.
type port struct {
	address string
	server  server.Server
}

// serve serves m until the test ends, with the given options over the usual ones.
func serve(tb testing.TB, m *handler.Monitor, opts ...server.Option) *port {
	tb.Helper()
	quiet := slog.New(slog.DiscardHandler)
	s := server.NewServer(append([]server.Option{
		server.Name("go.micro.srv.monitor"),
		server.Address("127.0.0.1:0"),
		server.Registry(registry.NewMemoryRegistry()),
		server.Broker(broker.NewMemoryBroker()),
		server.Transport(guardtransport.New(guardtransport.Config{Log: quiet})),
		server.Codec("application/json", handler.JSONCodec()),
		server.WithLogger(guard.NewLogger(quiet)),
	}, opts...)...)
	if err := s.Handle(s.NewHandler(m)); err != nil {
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

// ofNode makes the event one of the node with the number.
func ofNode[M interface {
	proto.Message
	GetService() *healthpb.Service
}](i int, m M) M {
	m = proto.Clone(m).(M)
	m.GetService().Nodes[0].Id = fmt.Sprintf("node-%04d", i)
	return m
}
