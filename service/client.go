package service

import (
	"log/slog"
	"slices"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/selector"

	"github.com/microhq/monitor-srv/guard"
	guardtransport "github.com/microhq/monitor-srv/guard/transport"
)

// NewClient returns a client of the services of a registry, for a process that is not
// an instance.
func NewClient(reg registry.Registry, retries int, log *slog.Logger) client.Client {
	return client.NewClient(
		client.Registry(reg),
		client.Transport(guardtransport.New(guardtransport.Config{Log: log})),
		client.Retries(retries),
		client.WithLogger(guard.NewLogger(log)),
		anyNode,
	)
}

// anyNode is an option of a client that speaks to all nodes of a service alike.
func anyNode(o *client.Options) {
	o.CallOptions.SelectOptions = append(o.CallOptions.SelectOptions, selector.WithFilter(withProtocol))
}

// withProtocol returns services in which each node has a protocol. One that go-micro did
// not register, such as one that only Consul knows, has none: the client would take it for
// one of 2016 and send it what no later server understands.
func withProtocol(services []*registry.Service) []*registry.Service {
	all := make([]*registry.Service, 0, len(services))
	for _, s := range services {
		with := *s
		with.Nodes = slices.Clone(s.Nodes)
		for i, n := range with.Nodes {
			if n.Metadata["protocol"] == "" {
				with.Nodes[i] = &registry.Node{Id: n.Id, Address: n.Address, Metadata: map[string]string{"protocol": "mucp"}}
			}
		}
		all = append(all, &with)
	}
	return all
}
