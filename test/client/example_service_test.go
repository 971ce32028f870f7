package client_test

import (
	"context"
	"fmt"

	"go-micro.dev/v4"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/logger"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// A whole service on parts in memory, with somebody who listens on the bus.
func Example() {
	bus := broker.NewMemoryBroker()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	silent := logger.NewLogger(logger.WithLevel(logger.FatalLevel))
	service := micro.NewService(
		micro.Server(server.NewServer(server.Id("1"), server.WithLogger(silent))),
		micro.Client(client.NewClient()),
		micro.Registry(registry.NewMemoryRegistry()),
		micro.Broker(bus),
		micro.Logger(silent),
		micro.Context(ctx),
		micro.Name("go.micro.srv.greeter"),
		micro.Version("1.0.0"),
	)
	if err := listen(bus, stop); err != nil {
		fmt.Println(err)
	}

	// The three lines.
	reporter := health.NewReporter(service)
	reporter.Check("go.micro.healthcheck.db", "the database answers", pingDB)
	service.Init(micro.AfterStart(reporter.Start), micro.BeforeStop(reporter.Stop))

	if err := service.Run(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// go.micro.srv.greeter-1 is STARTED
	// go.micro.healthcheck.db is OK map[open:3]
	// go.micro.srv.greeter-1 is STOPPED
}

func pingDB(context.Context) (map[string]string, error) {
	return map[string]string{"open": "3"}, nil
}

// listen prints what the bus carries, and stops the service after the first
// check.
func listen(bus broker.Broker, stop func()) error {
	if err := bus.Connect(); err != nil {
		return err
	}
	_, err := bus.Subscribe(health.TopicStatus, func(e broker.Event) error {
		var s healthpb.Status
		if err := proto.Unmarshal(e.Message().Body, &s); err != nil {
			return err
		}
		fmt.Println(s.GetService().GetNodes()[0].GetId(), "is", s.GetStatus())
		return nil
	})
	if err != nil {
		return err
	}
	_, err = bus.Subscribe(health.TopicHealthCheck, func(e broker.Event) error {
		var c healthpb.HealthCheck
		if err := proto.Unmarshal(e.Message().Body, &c); err != nil {
			return err
		}
		fmt.Println(c.GetId(), "is", c.GetStatus(), c.GetResults())
		stop()
		return nil
	})
	return err
}
