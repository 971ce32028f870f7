package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"
	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/examples/pingpong/sample"
	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/store"
)

const (
	// demoRPC is where the demo answers RPC, so that what it prints and the README
	// shows can be typed as it stands.
	demoRPC = "127.0.0.1:3839"
	// demoInterval is short, so that whoever tries it sees something happen.
	demoInterval = 5 * time.Second
	// demoPatience bounds the wait for the sample's first checks.
	demoPatience = 15 * time.Second
	// multicastPatience bounds the trial whether multicast works.
	multicastPatience = 2 * time.Second
)

func demoAction(stdout, stderr io.Writer) cli.ActionFunc {
	return func(c *cli.Context) error {
		if err := noWords(c); err != nil {
			return err
		}
		cfg, err := configFrom(c)
		if err != nil {
			return err
		}
		if !c.IsSet(flagVerbosity) {
			cfg.log.verbosity = "warning"
		}
		if !c.IsSet(flagRegistry) {
			cfg.registry = "mdns"
			if !multicastWorks() {
				cfg.registry = "memory"
			}
		}
		if !c.IsSet(flagServerAddress) {
			cfg.server.address = demoRPC
		}
		return demo(c.Context, cfg, stdout, stderr)
	}
}

// multicastWorks tells whether a service that is announced by mdns is found.
func multicastWorks() bool {
	name := "multicast-" + uuid.NewString()
	r := registry.NewRegistry()
	s := &registry.Service{Name: name, Nodes: []*registry.Node{{Id: name, Address: "127.0.0.1:1"}}}
	if err := r.Register(s); err != nil {
		return false
	}
	defer func() { _ = r.Deregister(s) }()
	found := make(chan bool, 1)
	go func() {
		services, err := registry.NewRegistry(registry.Timeout(multicastPatience / 2)).GetService(name)
		found <- err == nil && len(services) > 0
	}()
	select {
	case ok := <-found:
		return ok
	case <-time.After(multicastPatience):
		return false
	}
}

// demo serves until ctx ends, with a sample service that publishes through the
// same broker, and prints how to ask.
func demo(ctx context.Context, cfg config, stdout, stderr io.Writer) error {
	log, level := newLog(cfg.log, stderr)
	quietFramework(log)
	i, err := newInstance(ctx, cfg, log, level)
	if err != nil {
		return err
	}
	// The sample has to say STOPPED before the broker goes.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	ctx, ended := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		defer ended() // also if it fails
		served <- i.Run(life)
	}()
	err = i.publishSample(ctx)
	if err == nil && i.awaitSample(ctx) {
		i.explain(stdout)
	}
	if err == nil {
		<-ctx.Done()
	}
	if i.sample != nil {
		err = errors.Join(err, i.sample.Close(life))
	}
	end()
	return errors.Join(err, <-served)
}

// publishSample publishes the sample service's checks once the broker is there.
func (i *instance) publishSample(ctx context.Context) error {
	for i.parts.rpcAddress() == "" && ctx.Err() == nil {
		pause(ctx, 10*time.Millisecond)
	}
	if ctx.Err() != nil {
		return nil
	}
	i.sample = health.NewReporter(nil,
		health.WithIdentity(health.Identity{Name: sample.Name, Version: sample.Version, NodeID: sample.Name + "-" + uuid.NewString()}),
		health.WithPublisher(health.FromClient(i.client)),
		health.WithInterval(demoInterval),
		health.WithLogger(i.log),
	)
	if err := i.sample.Add(sample.Checks()...); err != nil {
		return err
	}
	return i.sample.Start()
}

// awaitSample waits until the sample's checks came in over the broker.
func (i *instance) awaitSample(ctx context.Context) bool {
	deadline := time.Now().Add(demoPatience)
	for ctx.Err() == nil {
		page, err := i.store.Checks(store.Query{Service: sample.Name})
		if err == nil && page.Total == len(sample.Checks()) {
			return true
		}
		if time.Now().After(deadline) {
			i.log.Warn("the sample's checks do not come in; /healthz may say why", "http", i.web.Addr())
			return true
		}
		pause(ctx, 20*time.Millisecond)
	}
	return false
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// explain prints the commands that ask this instance.
func (i *instance) explain(w io.Writer) {
	env := "MICRO_PROXY=" + reachable(i.parts.rpcAddress()) + " "
	switch i.cfg.registry {
	case "mdns":
		fmt.Fprintln(w, "Registry: mdns, because multicast works here. MICRO_REGISTRY=mdns in place of MICRO_PROXY works too.")
	case "memory":
		fmt.Fprintln(w, "Registry: memory, so only MICRO_PROXY finds the instance (mdns would need multicast).")
	default:
		fmt.Fprintln(w, "Registry: Consul.")
		env = ""
		if i.cfg.registryAddress != "" {
			env = "MICRO_REGISTRY_ADDRESS=" + i.cfg.registryAddress + " "
		}
	}
	fmt.Fprintf(w, "A sample service, %s %s, publishes two checks each %v. Ask from another terminal:\n\n", sample.Name, sample.Version, demoInterval)
	call := env + "bin/micro call " + i.cfg.server.name + " "
	for _, line := range []string{
		"make micro",
		call + "Monitor.HealthChecks '{}'",
		call + `Monitor.HealthChecks '{"id": "go.micro.healthcheck.pong"}'`,
		call + "Monitor.Status '{}'",
		call + "Monitor.History '{}'",
		"curl -s http://" + i.web.Addr() + "/healthz",
		"curl -s -H 'Content-Type: application/json' -H 'Micro-Endpoint: Monitor.HealthChecks' -d '{}' http://" + reachable(i.parts.rpcAddress()),
	} {
		fmt.Fprintf(w, "  %s\n", line)
	}
	fmt.Fprintln(w, "\nCtrl-C ends it.")
}

// reachable is the address to dial for one that is listened at.
func reachable(address string) string {
	if host, port, err := net.SplitHostPort(address); err == nil && net.ParseIP(host).IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}
