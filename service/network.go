package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"go-micro.dev/v4"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"

	"github.com/microhq/monitor-srv/guard"
	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/handler"
	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/web"
)

const (
	// maxHeartbeat bounds the time until the instance is registered again with a
	// registry that came back empty, also with a longer interval of registration.
	maxHeartbeat = 5 * time.Second
	// drainTimeout bounds the wait for calls in flight at a stop.
	drainTimeout = 4 * time.Second
)

// network is the go-micro side of an instance: the guarded registry, broker and
// transport, and a client and a server on them. go-micro's default ones are shared by
// everything in a process.
type network struct {
	registry  *guardregistry.Registry
	broker    *guardbroker.Broker
	transport *guardtransport.Transport
	client    client.Client
	server    server.Server
	log       *slog.Logger

	started time.Time
	serving chan struct{} // closed once the RPC server answers
	mu      sync.Mutex
	address string    // guarded by mu; of the RPC server, empty before it answers
	since   time.Time // guarded by mu; of the last change of address
}

// newNetwork makes everything and connects to nothing.
func newNetwork(cfg Config, log *slog.Logger) (*network, error) {
	now := time.Now()
	n := &network{log: log, started: now, serving: make(chan struct{}), since: now}
	var err error
	if n.registry, err = NewRegistry(cfg.Registry, min(cfg.Server.RegisterInterval, maxHeartbeat), log); err != nil {
		return nil, err
	}
	if n.broker, err = NewBroker(cfg.Broker, cfg.Server.node(), n.registry, log); err != nil {
		return nil, err
	}
	n.transport = guardtransport.New(guardtransport.Config{DrainTimeout: drainTimeout, Log: log})
	n.client = client.NewClient(
		client.Registry(n.registry),
		client.Broker(n.broker),
		client.Transport(n.transport),
		client.RequestTimeout(cfg.Client.Timeout),
		client.Retries(cfg.Client.Retries),
		client.PoolSize(cfg.Client.PoolSize),
		client.PoolTTL(cfg.Client.PoolTTL),
		client.WithLogger(guard.NewLogger(log)),
		anyNode,
	)
	n.server = server.NewServer(
		server.Name(cfg.Server.Name),
		server.Version(cfg.Server.Version),
		server.Id(cfg.Server.ID),
		server.Address(cfg.Server.Address),
		server.Advertise(cfg.Server.Advertise),
		server.Metadata(cfg.Server.Metadata),
		server.Registry(n.registry),
		server.Broker(n.broker),
		server.Transport(n.transport),
		server.RegisterTTL(cfg.Server.RegisterTTL),
		server.RegisterInterval(cfg.Server.RegisterInterval),
		server.Codec("application/json", handler.JSONCodec()),
		server.WithLogger(guard.NewLogger(log)),
	)
	return n, nil
}

// node returns the id of the instance's node in the registry.
func (c ServerConfig) node() string { return c.Name + "-" + c.ID }

// Server returns the RPC server; see health.Service.
func (n *network) Server() server.Server { return n.server }

// Client returns the client; see health.Service.
func (n *network) Client() client.Client { return n.client }

var _ health.Service = (*network)(nil)

// answer makes the RPC server answer with a handler, and a reporter count its calls.
func (n *network) answer(answers *handler.Monitor, reporter *health.Reporter) error {
	if err := n.server.Init(server.WrapHandler(n.transport.Recover()), server.WrapHandler(reporter.HandlerWrapper())); err != nil {
		return fmt.Errorf("preparing the RPC server: %w", err)
	}
	if err := n.server.Handle(n.server.NewHandler(answers)); err != nil {
		return fmt.Errorf("preparing the RPC server: %w", err)
	}
	return nil
}

// publish publishes a message of an action on the broker.
func (n *network) publish(_ context.Context, topic string, header map[string]string, body []byte) error {
	return n.broker.Publish(topic, &broker.Message{Header: header, Body: body})
}

// runServer runs the RPC server as a go-micro service, which is registered while it
// does. Its signal handling is off, because it would stop the parts of the instance in
// another order.
func (n *network) runServer(ctx context.Context) error {
	service := micro.NewService(
		micro.Server(n.server),
		micro.Client(n.client),
		micro.HandleSignal(false),
		micro.Context(ctx),
		micro.Logger(guard.NewLogger(n.log)),
		micro.AfterStart(func() error {
			n.served(n.server.Options().Address)
			return nil
		}),
	)
	err := service.Run()
	var listening *net.OpError
	if errors.As(err, &listening) && listening.Op == "listen" {
		return unusable(ServerAddress, "address", err)
	}
	return err
}

// served notes that the RPC server answers at address.
func (n *network) served(address string) {
	n.mu.Lock()
	n.address, n.since = address, time.Now()
	n.mu.Unlock()
	close(n.serving)
}

// rpcAddress returns where the RPC server answers, or "" before it does.
func (n *network) rpcAddress() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.address
}

// busTimeout bounds the wait for the broker before the first report.
const busTimeout = 2 * time.Second

// awaitBus waits until the RPC server answers, the broker is connected and every topic
// is subscribed, at most for busTimeout.
func (n *network) awaitBus(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	select {
	case <-ctx.Done():
		return
	case <-n.serving:
	}
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !n.broker.State().OK || !n.subscriptionsCondition().OK {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		}
	}
}

// components returns the components of the network.
func (n *network) components() []component {
	return []component{
		{name: "rpc", needed: true, look: n.serverCondition},
		{
			name: "registry", description: "the registry answers and this instance is registered",
			look: func() condition { return condition(n.registry.State()) },
		},
		{
			name: "broker", needed: true, description: "the broker is connected",
			look: n.brokerCondition,
		},
		{
			name: "subscriptions", description: "every topic of the bus is subscribed",
			look: n.subscriptionsCondition, listed: n.subscriptions,
		},
	}
}

// brokerCondition fails while events are refused, too.
func (n *network) brokerCondition() condition {
	s := condition(n.broker.State())
	if conns := n.broker.Connections(); s.OK && conns.Refusing {
		s = condition{Since: conns.Since, Reason: describeFull(conns)}
	}
	return s
}

func (n *network) serverCondition() condition {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.address == "" {
		return condition{Since: n.since, Reason: "not serving yet"}
	}
	return accepting(n.since, n.transport.Connections())
}

// subscriptions returns each subscription.
func (n *network) subscriptions() []web.Component {
	var list []web.Component
	for _, s := range n.broker.Subscriptions() {
		list = append(list, condition(s.State).named("subscription "+s.Topic, true))
	}
	return list
}

// subscriptionsCondition returns the condition of the first subscription that fails.
func (n *network) subscriptionsCondition() condition {
	sum := condition{OK: true, Since: n.started}
	for _, s := range n.broker.Subscriptions() {
		if !s.State.OK {
			return condition{Since: s.State.Since, Reason: s.Topic + ": " + s.State.Reason}
		}
		if s.State.Since.After(sum.Since) {
			sum.Since = s.State.Since
		}
	}
	return sum
}
