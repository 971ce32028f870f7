// Package client_test runs the client library in real services over real brokers,
// and compiles the programs of its documentation. It is apart from the library,
// whose module must not require brokers and test servers: its users would inherit
// them.
package client_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	natsbroker "github.com/go-micro/plugins/v4/broker/nats"
	"go-micro.dev/v4"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/logger"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/testkit/natstest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Args = os.Args[:1] // micro.Service.Init reads them
	code := m.Run()
	if code == 0 && !noneLeft() {
		code = 1
	}
	os.Exit(code)
}

// noneLeft tells if the library ended all its goroutines.
func noneLeft() bool {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		buf := make([]byte, 1<<20)
		stacks := string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, "created by github.com/microhq/monitor-srv/health.") {
			return true
		}
		if time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, "goroutines of the library are left:\n"+stacks)
			return false
		}
	}
}

// patience bounds each wait of an end-to-end test.
const patience = 20 * time.Second

// ear keeps what comes over the bus.
type ear struct {
	mu       sync.Mutex // guards all that follows
	statuses []*healthpb.Status
	checks   map[string]*healthpb.HealthCheck
	stats    []*healthpb.Stats
	bad      []string
}

// listenAll subscribes b to the three topics.
func listenAll(t *testing.T, b broker.Broker) *ear {
	t.Helper()
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	e := &ear{checks: map[string]*healthpb.HealthCheck{}}
	for _, topic := range []string{health.TopicStatus, health.TopicHealthCheck, health.TopicStats} {
		sub, err := b.Subscribe(topic, func(ev broker.Event) error { e.hear(topic, ev.Message()); return nil })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sub.Unsubscribe() })
	}
	return e
}

func (e *ear) hear(topic string, m *broker.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ct := m.Header["Content-Type"]; ct != health.ContentType {
		e.bad = append(e.bad, "content type "+ct)
	}
	var err error
	switch topic {
	case health.TopicStatus:
		s := new(healthpb.Status)
		err = proto.Unmarshal(m.Body, s)
		e.statuses = append(e.statuses, s)
	case health.TopicHealthCheck:
		c := new(healthpb.HealthCheck)
		err = proto.Unmarshal(m.Body, c)
		e.checks[c.GetId()] = c
	case health.TopicStats:
		s := new(healthpb.Stats)
		err = proto.Unmarshal(m.Body, s)
		e.stats = append(e.stats, s)
	}
	if err != nil {
		e.bad = append(e.bad, err.Error())
	}
}

// until polls what e heard.
func (e *ear) until(t *testing.T, what string, heard func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		e.mu.Lock()
		ok := heard()
		e.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			e.mu.Lock()
			defer e.mu.Unlock()
			t.Fatalf("not heard within %v: %s; heard %v %v %v, bad %q", patience, what, e.statuses, e.checks, e.stats, e.bad)
		}
	}
}

func (e *ear) has(status healthpb.Status_Status) func() bool {
	return func() bool {
		return slices.ContainsFunc(e.statuses, func(s *healthpb.Status) bool { return s.GetStatus() == status })
	}
}

// requests sums the good requests of one side.
func (e *ear) requests(side healthpb.Endpoint_Side) int64 {
	var n int64
	for _, s := range e.stats {
		for _, ep := range s.GetEndpoints() {
			if ep.GetSide() == side && ep.GetMethod() == "Greeter.Hello" {
				n += ep.GetSuccess().GetCount()
			}
		}
	}
	return n
}

// Greeter is the handler of the service under test.
type Greeter struct{}

// Name is both question and answer.
type Name struct{ Name string }

// Hello answers.
func (Greeter) Hello(_ context.Context, req, rsp *Name) error {
	rsp.Name = "hello " + req.Name
	return nil
}

func TestEndToEndOverTheHTTPBroker(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	newBroker := func() broker.Broker { return broker.NewBroker(broker.Registry(reg), broker.Addrs("127.0.0.1:0")) }
	endToEnd(t, reg, newBroker)
}

func TestEndToEndOverNATS(t *testing.T) {
	address := natstest.Start(t, nil).URL()
	endToEnd(t, registry.NewMemoryRegistry(), func() broker.Broker { return natsbroker.NewBroker(broker.Addrs(address)) })
}

// endToEnd runs a real service and compares what another one hears of it.
func endToEnd(t *testing.T, reg registry.Registry, newBroker func() broker.Broker) {
	hearing := newBroker()
	e := listenAll(t, hearing)
	t.Cleanup(func() { _ = hearing.Disconnect() })
	silent := logger.NewLogger(logger.WithLevel(logger.FatalLevel))
	ctx, stop := context.WithCancel(t.Context())
	service := micro.NewService(
		micro.Server(server.NewServer(server.Id("e2e"), server.Address("127.0.0.1:0"), server.WithLogger(silent))),
		micro.Client(client.NewClient(client.WithLogger(silent))),
		micro.Registry(reg),
		micro.Broker(newBroker()),
		micro.Logger(silent),
		micro.Context(ctx),
		micro.Name("go.micro.srv.greeter"),
		micro.Version("1.0.0"),
	)
	reporter := health.NewReporter(service, health.WithInterval(time.Second), health.WithInfo("e2e"))
	reporter.Check("good", "all is well", func(context.Context) (map[string]string, error) {
		return map[string]string{"foo": "bar"}, nil
	})
	reporter.Check("bad", "nothing is", func(context.Context) (map[string]string, error) { return nil, errors.New("it broke") })
	service.Init(
		micro.AfterStart(reporter.Start), micro.BeforeStop(reporter.Stop),
		micro.WrapHandler(reporter.HandlerWrapper()), micro.WrapClient(reporter.ClientWrapper()),
	)
	if err := service.Server().Handle(service.Server().NewHandler(Greeter{})); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- service.Run() }()

	e.until(t, "STARTED", e.has(health.NodeStarted))
	node := nodeOf(t, reg)
	const calls = 7
	for i := range calls {
		var rsp Name
		req := service.Client().NewRequest("go.micro.srv.greeter", "Greeter.Hello", &Name{fmt.Sprint(i)})
		if err := service.Client().Call(ctx, req, &rsp); err != nil || !strings.HasPrefix(rsp.Name, "hello ") {
			t.Fatalf("call %d: %q, %v", i, rsp.Name, err)
		}
	}
	e.until(t, "both checks", func() bool { return len(e.checks) == 2 })
	e.until(t, "RUNNING", e.has(health.NodeRunning))
	e.until(t, "all calls on both sides", func() bool {
		return e.requests(healthpb.Endpoint_SERVER) == calls && e.requests(healthpb.Endpoint_CLIENT) == calls
	})
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the service ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the service does not end")
	}
	e.until(t, "STOPPED", e.has(health.NodeStopped))
	e.compare(t, node)
}

// nodeOf is what the registry knows of the service.
func nodeOf(t *testing.T, reg registry.Registry) *registry.Node {
	t.Helper()
	services, err := reg.GetService("go.micro.srv.greeter")
	if err != nil || len(services) != 1 || len(services[0].Nodes) != 1 {
		t.Fatalf("the registry knows %v (%v), want one node", services, err)
	}
	return services[0].Nodes[0]
}

// compare holds what was heard against what was said, and against the registry.
func (e *ear) compare(t *testing.T, node *registry.Node) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.bad) > 0 {
		t.Errorf("bad events: %q", e.bad)
	}
	good, bad := e.checks["good"], e.checks["bad"]
	if good.GetStatus() != health.CheckOK || good.GetResults()["foo"] != "bar" || good.GetDescription() != "all is well" {
		t.Errorf("good check %v", good)
	}
	if bad.GetStatus() != health.CheckError || bad.GetError() != "it broke" {
		t.Errorf("bad check %v", bad)
	}
	for _, s := range e.statuses {
		n := s.GetService().GetNodes()[0]
		if s.GetService().GetName() != "go.micro.srv.greeter" || s.GetService().GetVersion() != "1.0.0" || n.GetId() != node.Id {
			t.Errorf("status of %v", s.GetService())
		}
		if n.GetAddress() != node.Address || s.GetInfo() != "e2e" {
			t.Errorf("address %q, want %q; info %q, want e2e", n.GetAddress(), node.Address, s.GetInfo())
		}
	}
}
