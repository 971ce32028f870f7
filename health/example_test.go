package health_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// collect returns a Publisher that sends the checks to a channel. The test of a
// service can use one like it.
func collect(checks chan<- string) health.Publisher {
	return health.PublisherFunc(func(_ context.Context, _ string, msg proto.Message) error {
		if c, ok := msg.(*healthpb.HealthCheck); ok {
			checks <- fmt.Sprintf("%s is %v %q", c.GetId(), c.GetStatus(), c.GetError())
		}
		return nil
	})
}

// service stands in for what micro.NewService returns. It has a real server and a
// real client of go-micro, which share a broker in memory.
type service struct {
	server server.Server
	client client.Client
}

func (s service) Server() server.Server { return s.server }
func (s service) Client() client.Client { return s.client }

// In a service, micro.AfterStart(reporter.Start) and micro.BeforeStop(reporter.Stop)
// call Start and Stop.
func Example() {
	memory := broker.NewMemoryBroker()
	greeter := service{
		server: server.NewServer(server.Name("go.micro.srv.greeter"), server.Id("1")),
		client: client.NewClient(client.Broker(memory)),
	}
	checks := make(chan *healthpb.HealthCheck, 10)
	subscribe(memory, checks)

	reporter := health.NewReporter(greeter)
	reporter.Check("go.micro.healthcheck.db", "the database answers", pingDB)
	if err := reporter.Start(); err != nil {
		fmt.Println(err)
	}
	check := <-checks
	fmt.Println(check.GetService().GetNodes()[0].GetId())
	fmt.Println(check.GetId(), "is", check.GetStatus(), check.GetResults())
	if err := reporter.Stop(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// go.micro.srv.greeter-1
	// go.micro.healthcheck.db is OK map[open:3]
}

func pingDB(context.Context) (map[string]string, error) {
	return map[string]string{"open": "3"}, nil
}

// subscribe does what monitor-srv does: it takes the checks from the broker.
func subscribe(b broker.Broker, checks chan<- *healthpb.HealthCheck) {
	if err := b.Connect(); err != nil {
		fmt.Println(err)
	}
	_, err := b.Subscribe(health.TopicHealthCheck, func(e broker.Event) error {
		check := new(healthpb.HealthCheck)
		if err := proto.Unmarshal(e.Message().Body, check); err != nil {
			return err
		}
		checks <- check
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
}

// A service whose health is needed in the service itself, also while the broker is
// away.
func ExampleWithObserver() {
	checks := make(chan string, 10)
	away := health.PublisherFunc(func(context.Context, string, proto.Message) error { return errors.New("no broker") })
	reporter := health.NewReporter(nil, health.WithIdentity(greeter), health.WithPublisher(away),
		health.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))),
		health.WithObserver(func(_ string, event proto.Message) {
			if c, ok := event.(*healthpb.HealthCheck); ok {
				checks <- fmt.Sprint(c.GetId(), " is ", c.GetStatus())
			}
		}))
	reporter.Check("go.micro.healthcheck.db", "the database answers", pingDB)
	_ = reporter.Start()
	fmt.Println(<-checks)
	fmt.Println("published:", reporter.Counters().Published)
	_ = reporter.Stop()
	// Output:
	// go.micro.healthcheck.db is OK
	// published: 0
}

// Run suits a program that is not a micro.Service.
func ExampleReporter_Run() {
	checks := make(chan string, 10)
	reporter := health.NewReporter(nil, health.WithIdentity(greeter), health.WithPublisher(collect(checks)))
	reporter.Check("go.micro.healthcheck.db", "the database answers", pingDB)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		fmt.Println(<-checks)
		stop()
	}()
	if err := reporter.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// go.micro.healthcheck.db is OK ""
}

var greeter = health.Identity{Name: "go.micro.srv.greeter", Version: "1.0.0", NodeID: "go.micro.srv.greeter-1"}

// Without a micro.Service, set the identity of the node and the Publisher.
func ExampleNewReporter() {
	checks := make(chan string, 10)
	reporter := health.NewReporter(nil, health.WithIdentity(greeter), health.WithPublisher(collect(checks)))
	reporter.Check("go.micro.healthcheck.db", "the database answers", func(context.Context) (map[string]string, error) {
		return nil, errors.New("connection refused")
	})
	if err := reporter.Start(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-checks)
	if err := reporter.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// go.micro.healthcheck.db is ERROR "connection refused"
}

// A check can have its own interval, timeout and TTL. An invalid check is refused.
func ExampleReporter_Add() {
	reporter := health.NewReporter(nil, health.WithIdentity(greeter))
	err := reporter.Add(
		health.Check{
			ID:          "go.micro.healthcheck.backup",
			Description: "last night's backup exists",
			Run:         func(context.Context) (map[string]string, error) { return nil, nil },
			Interval:    10 * time.Minute,
			Timeout:     time.Minute,
		},
		health.Check{ID: "go.micro.healthcheck.nothing"},
	)
	fmt.Println(err)
	// Output:
	// adding checks: check "go.micro.healthcheck.nothing" has no function
}

// A disk that is nearly full is a warning, not yet an error.
func ExampleWarning() {
	checks := make(chan string, 10)
	reporter := health.NewReporter(nil, health.WithIdentity(greeter), health.WithPublisher(collect(checks)))
	reporter.Check("go.micro.healthcheck.disk", "there is room on the disk", func(context.Context) (map[string]string, error) {
		used := 91
		if used > 90 {
			return nil, health.Warning(fmt.Errorf("%d %% used", used))
		}
		return nil, nil
	})
	_ = reporter.Start()
	fmt.Println(<-checks)
	_ = reporter.Close(context.Background())
	// Output:
	// go.micro.healthcheck.disk is WARNING "91 % used"
}

// A service that knows that something changed need not wait for the interval.
func ExampleReporter_Trigger() {
	checks := make(chan string, 10)
	connected := make(chan bool, 1)
	connected <- false
	reporter := health.NewReporter(nil, health.WithIdentity(greeter), health.WithPublisher(collect(checks)))
	reporter.Check("go.micro.healthcheck.queue", "connected to the queue", func(context.Context) (map[string]string, error) {
		up := <-connected
		connected <- up
		if !up {
			return nil, errors.New("not connected")
		}
		return nil, nil
	})
	_ = reporter.Start()
	fmt.Println(<-checks)

	<-connected
	connected <- true
	if err := reporter.Trigger("go.micro.healthcheck.queue"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-checks)
	_ = reporter.Close(context.Background())
	// Output:
	// go.micro.healthcheck.queue is ERROR "not connected"
	// go.micro.healthcheck.queue is OK ""
}

// The wrapper counts requests by endpoint and outcome. A service gives it to
// micro.WrapHandler.
func ExampleReporter_HandlerWrapper() {
	reporter := health.NewReporter(nil, health.WithIdentity(greeter), health.WithPublisher(
		health.PublisherFunc(func(_ context.Context, _ string, msg proto.Message) error {
			if s, ok := msg.(*healthpb.Stats); ok {
				for _, e := range s.GetEndpoints() {
					fmt.Println(e.GetSide(), e.GetMethod(), e.GetSuccess().GetCount(), "succeeded,", e.GetErrors().GetCount(), "failed")
				}
			}
			return nil
		})))
	answers := []error{nil, nil, errors.New("no such name")}
	hello := reporter.HandlerWrapper()(func(context.Context, server.Request, any) error {
		err := answers[0]
		answers = answers[1:]
		return err
	})

	_ = reporter.Start()
	for range 3 {
		_ = hello(context.Background(), request{}, nil)
	}
	_ = reporter.Close(context.Background())
	// Output:
	// SERVER Greeter.Hello 2 succeeded, 1 failed
}

// request stands in for what go-micro's server hands to a handler.
type request struct{ server.Request }

func (request) Service() string  { return "go.micro.srv.greeter" }
func (request) Endpoint() string { return "Greeter.Hello" }
