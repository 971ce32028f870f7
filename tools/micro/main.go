// Command micro is go-micro's command line client, built with the Consul
// registry and using it by default. The stock command knows neither Consul nor
// any other way to say which registry to ask, so it cannot find a service that
// is registered there.
//
// The registry is chosen by MICRO_REGISTRY (consul, the default, or mdns) and
// MICRO_REGISTRY_ADDRESS, else by Consul's own CONSUL_HTTP_ADDR. One node,
// whatever the registry says, is asked with MICRO_PROXY=host:port.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/go-micro/cli/cmd"
	_ "github.com/go-micro/cli/cmd/call"
	_ "github.com/go-micro/cli/cmd/describe"
	_ "github.com/go-micro/cli/cmd/services"
	_ "github.com/go-micro/cli/cmd/stream"
	"github.com/go-micro/plugins/v4/registry/consul"
	"go-micro.dev/v4/client"
	mcmd "go-micro.dev/v4/cmd"
	"go-micro.dev/v4/registry"
)

func main() {
	os.Exit(run())
}

// run writes errors to stderr, so that what stdout holds is the answer; the
// stock main writes both to stdout.
func run() int {
	if err := useRegistry(); err != nil {
		fmt.Fprintln(os.Stderr, "micro:", err)
		return 1
	}
	if err := cmd.DefaultCLI.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// useRegistry makes Consul the registry of every command unless MICRO_REGISTRY
// names another. The call command reads that variable by itself; services and
// describe ask whatever the default registry is, so the default is replaced.
func useRegistry() error {
	mcmd.DefaultRegistries["mdns"] = registry.NewRegistry
	if name := os.Getenv("MICRO_REGISTRY"); name != "" && name != "consul" {
		return nil
	}
	var opts []registry.Option
	if addrs := os.Getenv("MICRO_REGISTRY_ADDRESS"); addrs != "" {
		opts = append(opts, registry.Addrs(strings.Split(addrs, ",")...))
	}
	r := consul.NewRegistry(opts...)
	registry.DefaultRegistry = r
	if err := client.DefaultClient.Init(client.Registry(r)); err != nil {
		return fmt.Errorf("set the client's registry to consul: %w", err)
	}
	return nil
}
