package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	natsbroker "github.com/go-micro/plugins/v4/broker/nats"
	consulregistry "github.com/go-micro/plugins/v4/registry/consul"
	"github.com/nats-io/nats-server/v2/server"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// The load of the footprint: so many events a second for so long.
const (
	eventRate = 1000
	eventTime = 10 * time.Second
)

// footprint measures what the service itself needs: idle, with entries, and
// under events.
func (b *bench) footprint(ctx context.Context) error {
	if err := b.overNATS(ctx); err != nil {
		return err
	}
	return b.overHTTP(ctx)
}

func (b *bench) overNATS(ctx context.Context) error {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		return err
	}
	go s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		return errors.New("NATS does not start")
	}
	bus := natsbroker.NewBroker(broker.Addrs(s.ClientURL()))
	if err := bus.Connect(); err != nil {
		return err
	}
	defer func() { _ = bus.Disconnect() }()
	for _, entries := range []int{2000, 100000} {
		if err := b.filled(ctx, bus, s.ClientURL(), entries); err != nil {
			return err
		}
	}
	return nil
}

// filled publishes so many checks to a fresh service and tells its memory; then
// it goes on publishing at a steady rate and tells its CPU time.
func (b *bench) filled(ctx context.Context, bus broker.Broker, nats string, entries int) error {
	p, err := b.startService(ctx, "--registry=memory", "--broker=nats", "--broker_address="+nats, "--max_entries=200000")
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.sleep(ctx, 3*time.Second); err != nil {
		return err
	}
	idle, err := p.memory()
	if err != nil {
		return err
	}
	if err := publish(ctx, bus, 0, entries, 10000); err != nil {
		return err
	}
	if err := p.sleep(ctx, 5*time.Second); err != nil {
		return err
	}
	full, err := p.memory()
	if err != nil {
		return err
	}
	if err := b.holds(entries, entries); err != nil {
		return err
	}
	used, err := b.steady(ctx, p, entries, []broker.Broker{bus})
	if err != nil {
		return err
	}
	report(fmt.Sprintf("Footprint/nats/%d", entries), 1, figure{full.rss, "RSS-MB"}, figure{full.own, "heap-MB"}, used, figure{idle.rss, "RSS-MB-idle"}, figure{idle.own, "heap-MB-idle"})
	return nil
}

// steady publishes events of known checks at the steady rate, and returns the
// share of one core that the process used.
func (b *bench) steady(ctx context.Context, p *process, entries int, buses []broker.Broker) (figure, error) {
	before, err := p.cpu()
	if err != nil {
		return figure{}, err
	}
	begin := time.Now()
	errs := make([]error, len(buses))
	var wg sync.WaitGroup
	for i, bus := range buses {
		wg.Go(func() {
			n := published / len(buses)
			errs[i] = publishAt(ctx, bus, func(k int) int { return (k*len(buses) + i) % entries }, n, eventRate/len(buses))
		})
	}
	wg.Wait()
	after, err := p.cpu()
	if err := errors.Join(append(errs, err)...); err != nil {
		return figure{}, err
	}
	return figure{100 * (after - before).Seconds() / time.Since(begin).Seconds(), "%core-at-1000/s"}, nil
}

// holds asks the service how many of the published checks it has.
func (b *bench) holds(least, most int) error {
	req, err := http.NewRequest(http.MethodPost, "http://"+b.rpc, strings.NewReader(`{"limit": 1}`))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Micro-Endpoint", "Monitor.HealthChecks")
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer rsp.Body.Close()
	var answer struct {
		Total json.Number `json:"total"`
	}
	if err := json.NewDecoder(rsp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("ask how many checks there are: %w", err)
	}
	// It has a few of its own.
	if total, err := answer.Total.Int64(); err != nil || int(total) < least || int(total) > most+20 {
		return fmt.Errorf("the service has %q checks, want %d to %d", answer.Total, least, most)
	}
	return nil
}

// published is how many events the steady rate comes to.
var published = eventRate * int(eventTime.Seconds())

// overHTTP does the same over the http broker, by four publishers, because one
// drops what goes beyond a few hundred events a second. They find the service
// through Consul.
func (b *bench) overHTTP(ctx context.Context) error {
	var ports []string
	for range 4 {
		port, err := freePort()
		if err != nil {
			return err
		}
		ports = append(ports, port)
	}
	consul, err := b.start("consul", nil, b.consul, "agent", "-dev", "-log-level=warn", "-bind=127.0.0.1",
		"-http-port="+ports[0], "-server-port="+ports[1], "-serf-lan-port="+ports[2], "-serf-wan-port="+ports[3],
		"-grpc-port=-1", "-grpc-tls-port=-1", "-dns-port=-1")
	if err != nil {
		return err
	}
	defer consul.stop()
	address := "127.0.0.1:" + ports[0]
	if err := consul.answers(ctx, "http://"+address+"/v1/health/service/consul?passing"); err != nil {
		return err
	}
	p, err := b.startService(ctx, "--registry=consul", "--registry_address="+address)
	if err != nil {
		return err
	}
	defer p.stop()
	var buses []broker.Broker
	for range 4 {
		bus := broker.NewBroker(broker.Registry(consulregistry.NewRegistry(registry.Addrs(address))), broker.Addrs("127.0.0.1:0"))
		if err := bus.Connect(); err != nil {
			return err
		}
		defer func() { _ = bus.Disconnect() }()
		buses = append(buses, bus)
	}
	if err := p.sleep(ctx, 3*time.Second); err != nil {
		return err
	}
	used, err := b.steady(ctx, p, published, buses)
	if err != nil {
		return err
	}
	if err := b.holds(published*95/100, published); err != nil { // the http broker may drop some
		return err
	}
	full, err := p.memory()
	if err != nil {
		return err
	}
	report(fmt.Sprintf("Footprint/http/%d", published), 1, figure{full.rss, "RSS-MB"}, figure{full.own, "heap-MB"}, used)
	return nil
}

// publish publishes the checks of those numbers once.
func publish(ctx context.Context, bus broker.Broker, from, n, rate int) error {
	return publishAt(ctx, bus, func(k int) int { return from + k }, n, rate)
}

// publishAt publishes n checks with go-micro's own client at the rate.
func publishAt(ctx context.Context, bus broker.Broker, number func(k int) int, n, rate int) error {
	c := client.NewClient(client.Broker(bus))
	begin := time.Now()
	for k := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		if k%10 == 0 {
			time.Sleep(time.Until(begin.Add(time.Duration(k) * time.Second / time.Duration(rate))))
		}
		msg := c.NewMessage(health.TopicHealthCheck, check(number(k)), client.WithMessageContentType("application/protobuf"))
		if err := c.Publish(ctx, msg); err != nil {
			return fmt.Errorf("publish event %d of %d: %w", k, n, err)
		}
	}
	return nil
}

// check is a typical check; 100 of them come from one node, and those of 10
// nodes are of one service.
func check(i int) *healthpb.HealthCheck {
	node := i / 100
	name := fmt.Sprintf("go.micro.srv.svc-%03d", node/10)
	return &healthpb.HealthCheck{
		Id: fmt.Sprintf("go.micro.healthcheck.%03d", i%100), Description: "a check of a dependency",
		Timestamp: time.Now().Unix(), Interval: 60, Ttl: 3600,
		Service: &healthpb.Service{Name: name, Version: "1.0.0", Nodes: []*healthpb.Node{{Id: fmt.Sprintf("%s-%06d", name, node)}}},
		Status:  healthpb.HealthCheck_ERROR,
		Results: map[string]string{"msg": "no answer", "foo": "bar", "latency": "12.5ms", "tries": "3", "peer": "10.0.0.17:9090"},
		Error:   "connection refused",
	}
}
