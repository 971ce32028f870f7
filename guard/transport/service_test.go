package transport_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/codec/bytes"
	"go-micro.dev/v4/logger"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"go-micro.dev/v4/transport"
	"google.golang.org/protobuf/proto"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/proto/monitor"
)

// noRegistry is a registry that takes everything and knows nobody.
type noRegistry struct{ registry.Registry }

func (noRegistry) Init(...registry.Option) error                                { return nil }
func (noRegistry) Options() registry.Options                                    { return registry.Options{} }
func (noRegistry) Register(*registry.Service, ...registry.RegisterOption) error { return nil }
func (noRegistry) String() string                                               { return "none" }
func (noRegistry) Deregister(*registry.Service, ...registry.DeregisterOption) error {
	return nil
}

// noLogger is go-micro's logger for lines that are not under test.
type noLogger struct{}

func (noLogger) Init(...logger.Option) error           { return nil }
func (noLogger) Options() logger.Options               { return logger.Options{} }
func (s noLogger) Fields(map[string]any) logger.Logger { return s }
func (noLogger) Log(logger.Level, ...any)              {}
func (noLogger) Logf(logger.Level, string, ...any)     {}
func (noLogger) String() string                        { return "silence" }

// Probe is the service behind the port under test.
type Probe struct {
	answer *monitor.HealthChecksResponse
	stored []byte        // answer in protobuf
	began  chan struct{} // Block and Obey say here that they run
	hold   chan struct{} // Block returns when this is closed
}

// List answers with 100 checks.
func (p *Probe) List(_ context.Context, _ *monitor.HealthChecksRequest, rsp *monitor.HealthChecksResponse) error {
	rsp.HealthChecks = p.answer.GetHealthChecks()
	rsp.Total = p.answer.GetTotal()
	return nil
}

// Stored answers what List does, from bytes encoded beforehand.
func (p *Probe) Stored(_ context.Context, _ *bytes.Frame, rsp *bytes.Frame) error {
	rsp.Data = p.stored
	return nil
}

// Echo answers with the request's cursor.
func (p *Probe) Echo(_ context.Context, req *monitor.HealthChecksRequest, rsp *monitor.HealthChecksResponse) error {
	rsp.Cursor = req.GetCursor()
	return nil
}

// Block answers when the test lets it, or then with the error of its context.
func (p *Probe) Block(ctx context.Context, req *monitor.HealthChecksRequest, rsp *monitor.HealthChecksResponse) error {
	p.began <- struct{}{}
	<-p.hold
	rsp.Cursor = req.GetCursor()
	return ctx.Err()
}

// Obey answers when its context ends: with an error, or if asked with "fine".
func (p *Probe) Obey(ctx context.Context, req *monitor.HealthChecksRequest, rsp *monitor.HealthChecksResponse) error {
	p.began <- struct{}{}
	<-ctx.Done()
	if req.GetCursor() == "fine" {
		rsp.Cursor = "fine"
		return nil
	}
	return ctx.Err()
}

// Panic panics with a text that callers must not see.
func (p *Probe) Panic(context.Context, *monitor.HealthChecksRequest, *monitor.HealthChecksResponse) error {
	panic("inner detail")
}

// Vanish ends its goroutine without an answer, as no recover can prevent.
func (p *Probe) Vanish(context.Context, *monitor.HealthChecksRequest, *monitor.HealthChecksResponse) error {
	runtime.Goexit()
	return nil
}

// Fail answers with an error whose text is the request's cursor.
func (p *Probe) Fail(_ context.Context, req *monitor.HealthChecksRequest, _ *monitor.HealthChecksResponse) error {
	return fmt.Errorf("%s", req.GetCursor())
}

func manyChecks(n int) *monitor.HealthChecksResponse {
	rsp := &monitor.HealthChecksResponse{Total: int64(n)}
	for i := range n {
		rsp.HealthChecks = append(rsp.HealthChecks, &health.HealthCheck{
			Id:          "go.micro.healthcheck.ping",
			Description: "the database answers a ping within a second",
			Timestamp:   1_790_000_000, Interval: 60, Ttl: 3600,
			Service: &health.Service{Name: "go.micro.srv.sample", Version: "1.2.3", Nodes: []*health.Node{{Id: fmt.Sprintf("go.micro.srv.sample-%04d", i)}}},
			Status:  health.HealthCheck_OK,
			Results: map[string]string{"latency": "12ms", "replicas": "3", "lag": "0", "version": "16.2", "leader": "db-1"},
		})
	}
	return rsp
}

// testServer is a go-micro server on a transport under test.
type testServer struct {
	addr  string
	probe *Probe
	srv   server.Server

	events chan string // the ids of the health checks that came as events
}

// serve starts a server and stops it when the test ends.
func serve(tb testing.TB, tr transport.Transport, opts ...server.Option) *testServer {
	tb.Helper()
	s := &testServer{events: make(chan string, 64), probe: &Probe{
		answer: manyChecks(100),
		began:  make(chan struct{}, 1024),
		hold:   make(chan struct{}),
	}}
	stored, err := proto.Marshal(s.probe.answer)
	if err != nil {
		tb.Fatal(err)
	}
	s.probe.stored = stored
	s.srv = server.NewServer(append([]server.Option{
		server.Name("go.micro.srv.sample"), server.Id("1"), server.Address("127.0.0.1:0"),
		server.Registry(noRegistry{}), server.Broker(broker.NewMemoryBroker()),
		server.RegisterInterval(time.Hour), server.WithLogger(noLogger{}), server.Transport(tr),
	}, opts...)...)
	if err := s.srv.Handle(s.srv.NewHandler(s.probe)); err != nil {
		tb.Fatal(err)
	}
	if err := s.srv.Subscribe(s.srv.NewSubscriber("sample.topic", func(_ context.Context, check *health.HealthCheck) error {
		s.events <- check.GetId()
		return nil
	})); err != nil {
		tb.Fatal(err)
	}
	if err := s.srv.Start(); err != nil {
		tb.Fatal(err)
	}
	s.addr = s.srv.Options().Address
	tb.Cleanup(func() {
		if err := s.srv.Stop(); err != nil {
			tb.Errorf("stopping the server: %v", err)
		}
	})
	return s
}

// serveGuarded starts a server behind a guarded transport, quiet unless cfg
// has a log.
func serveGuarded(tb testing.TB, cfg guardtransport.Config, opts ...server.Option) (*testServer, *guardtransport.Transport) {
	tb.Helper()
	if cfg.Log == nil {
		cfg.Log = testkit.QuietLog()
	}
	tr := guardtransport.New(cfg)
	return serve(tb, tr, opts...), tr
}

// newClient returns a stock client without retries, whose connections are
// closed when the test ends.
func newClient(tb testing.TB, opts ...client.Option) client.Client {
	tb.Helper()
	c := client.NewClient(append([]client.Option{
		client.Retries(0), client.Registry(noRegistry{}), client.PoolSize(64), client.WithLogger(noLogger{}),
	}, opts...)...)
	tb.Cleanup(func() {
		// A changed pool is a new pool, and the old one is closed.
		if err := c.Init(client.PoolSize(1)); err != nil {
			tb.Errorf("closing the client's connections: %v", err)
		}
	})
	return c
}

func callProbe(c client.Client, addr, endpoint, cursor string, opts ...client.CallOption) (*monitor.HealthChecksResponse, error) {
	req := c.NewRequest("go.micro.srv.sample", "Probe."+endpoint, &monitor.HealthChecksRequest{Cursor: cursor})
	rsp := new(monitor.HealthChecksResponse)
	err := c.Call(context.Background(), req, rsp, append(opts, client.WithAddress(addr))...)
	return rsp, err
}
