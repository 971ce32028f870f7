// Command pingpong is the smallest service that publishes its health: one check
// that succeeds and one that fails, as go-server 1.0.0. It takes go-micro's flags
// and variables:
//
//	pingpong --registry=consul
//	pingpong --registry=consul --broker=nats --broker_address=127.0.0.1:4222
//	pingpong --registry=mdns
package main

import (
	"fmt"
	"os"

	_ "github.com/go-micro/plugins/v4/broker/nats"     // --broker=nats
	_ "github.com/go-micro/plugins/v4/registry/consul" // --registry=consul
	"go-micro.dev/v4"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/sample"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pingpong:", err)
		os.Exit(1)
	}
}

func run() error {
	service := micro.NewService(micro.Name(sample.Name), micro.Version(sample.Version))
	reporter := health.NewReporter(service)
	if err := reporter.Add(sample.Checks()...); err != nil {
		return err
	}
	service.Init(micro.AfterStart(reporter.Start), micro.BeforeStop(reporter.Stop))
	return service.Run()
}
