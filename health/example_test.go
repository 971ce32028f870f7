package health_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// printer is a publisher that prints the checks it is given, as a test of your
// own service might collect them.
func printer(seen chan<- string) health.Publisher {
	return health.PublisherFunc(func(_ context.Context, _ string, msg proto.Message) error {
		if c, ok := msg.(*healthpb.HealthCheck); ok {
			seen <- fmt.Sprintf("%s is %v %q", c.GetId(), c.GetStatus(), c.GetError())
		}
		return nil
	})
}

var greeter = health.Identity{Name: "go.micro.srv.greeter", Version: "1.0.0", NodeID: "go.micro.srv.greeter-1"}

// Without a micro.Service: say who publishes, and through what.
func ExampleNewReporter() {
	seen := make(chan string, 10)
	reporter := health.NewReporter(nil, health.WithIdentity(greeter), health.WithPublisher(printer(seen)))
	reporter.Check("go.micro.healthcheck.db", "the database answers", func(context.Context) (map[string]string, error) {
		return nil, errors.New("connection refused")
	})
	if err := reporter.Start(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-seen)
	if err := reporter.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// go.micro.healthcheck.db is ERROR "connection refused"
}

// A check may have times of its own.
func ExampleReporter_Add() {
	reporter := health.NewReporter(nil, health.WithIdentity(greeter))
	err := reporter.Add(
		health.Check{
			ID:          "go.micro.healthcheck.backup",
			Description: "the backup of last night is there",
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

// An error that is not yet a failure.
func ExampleWarning() {
	seen := make(chan string, 10)
	reporter := health.NewReporter(nil, health.WithIdentity(greeter), health.WithPublisher(printer(seen)))
	reporter.Check("go.micro.healthcheck.disk", "there is room on the disk", func(context.Context) (map[string]string, error) {
		used := 91
		if used > 90 {
			return nil, health.Warning(fmt.Errorf("%d %% used", used))
		}
		return nil, nil
	})
	_ = reporter.Start()
	fmt.Println(<-seen)
	_ = reporter.Close(context.Background())
	// Output:
	// go.micro.healthcheck.disk is WARNING "91 % used"
}

// A service that knows when something changed need not wait for the interval.
func ExampleReporter_Trigger() {
	seen := make(chan string, 10)
	connected := make(chan bool, 1)
	connected <- false
	reporter := health.NewReporter(nil, health.WithIdentity(greeter), health.WithPublisher(printer(seen)))
	reporter.Check("go.micro.healthcheck.queue", "connected to the queue", func(context.Context) (map[string]string, error) {
		up := <-connected
		connected <- up
		if !up {
			return nil, errors.New("not connected")
		}
		return nil, nil
	})
	_ = reporter.Start()
	fmt.Println(<-seen)

	<-connected
	connected <- true
	if err := reporter.Trigger("go.micro.healthcheck.queue"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-seen)
	_ = reporter.Close(context.Background())
	// Output:
	// go.micro.healthcheck.queue is ERROR "not connected"
	// go.micro.healthcheck.queue is OK ""
}

// The wrapper counts each request by its endpoint and its outcome.
func ExampleReporter_HandlerWrapper() {
	reporter := health.NewReporter(nil, health.WithIdentity(greeter), health.WithPublisher(
		health.PublisherFunc(func(_ context.Context, _ string, msg proto.Message) error {
			if s, ok := msg.(*healthpb.Stats); ok {
				for _, e := range s.GetEndpoints() {
					fmt.Println(e.GetSide(), e.GetMethod(), e.GetSuccess().GetCount(), "good,", e.GetErrors().GetCount(), "bad")
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
	// SERVER Greeter.Hello 2 good, 1 bad
}

// request stands for what go-micro's server hands to a handler.
type request struct{ server.Request }

func (request) Service() string  { return "go.micro.srv.greeter" }
func (request) Endpoint() string { return "Greeter.Hello" }
