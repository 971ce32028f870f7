package main

import (
	"context"
	"errors"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/handler"
	"github.com/microhq/monitor-srv/health"
)

// Server returns the RPC server; see health.Service.
func (i *instance) Server() server.Server { return i.server }

// Client returns the client; see health.Service.
func (i *instance) Client() client.Client { return i.client }

// publisher tells what the instance reports of itself to its own store first
// and then to the bus, so that both it and its replicas know, and it itself also
// while the broker is away.
type publisher struct {
	bus    health.Publisher
	events *handler.Events
}

// Publish implements health.Publisher.
func (p publisher) Publish(ctx context.Context, topic string, msg proto.Message) error {
	return errors.Join(p.events.Deliver(topic, msg), p.bus.Publish(ctx, topic, msg))
}

// Flush lets the bus finish what it sends in the background.
func (p publisher) Flush(ctx context.Context) error {
	if f, ok := p.bus.(interface{ Flush(context.Context) error }); ok {
		return f.Flush(ctx)
	}
	return nil
}
