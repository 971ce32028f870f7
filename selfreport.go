package main

import (
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"
)

// Server returns the RPC server; see health.Service.
func (i *instance) Server() server.Server { return i.server }

// Client returns the client; see health.Service.
func (i *instance) Client() client.Client { return i.client }

// know puts what the instance reports of itself into its own store, also while it
// cannot be published. Its replicas know it from the bus.
func (i *instance) know(topic string, event proto.Message) {
	if err := i.events.Inject(topic, event); err != nil {
		i.log.Error("what we report of ourselves is lost", "err", err)
	}
}
