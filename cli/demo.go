package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/microhq/monitor-srv/discovery"
	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/sample"
	"github.com/microhq/monitor-srv/service"
	"github.com/microhq/monitor-srv/store"
)

const (
	// demoRPC is where the demo serves RPC, so that what it prints and the README
	// shows can be typed as it stands.
	demoRPC = "127.0.0.1:3839"
	// demoInterval is short, so that whoever tries it sees something happen.
	demoInterval = 5 * time.Second
	// samplePatience bounds the wait for the sample's first checks.
	samplePatience = 15 * time.Second
)

// runDemo serves until ctx ends, with a sample service that publishes through the same
// broker, and prints how to ask.
func runDemo(ctx context.Context, inv *invocation) error {
	cfg, err := inv.demoConfig()
	if err != nil {
		return err
	}
	log, level := service.NewLog(cfg.Log, inv.Stderr)
	service.QuietLibraries(log)
	instance, err := startInstance(ctx, cfg, log, level)
	if err != nil || instance == nil {
		return err
	}
	publisher, err := sample.NewReporter(health.FromClient(instance.Client()), demoInterval, log)
	if err != nil {
		return err
	}
	// The sample must publish STOPPED before the broker is left.
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		defer cancel() // also if it fails
		served <- instance.Run(serving)
	}()
	err = publishSample(ctx, instance, publisher)
	if err == nil && awaitSample(ctx, instance, log) {
		explain(inv.Stdout, cfg, instance)
	}
	if err == nil {
		followRegistry(ctx, inv.Stdout, instance)
		<-ctx.Done()
	}
	err = errors.Join(err, publisher.Close(serving))
	end()
	return errors.Join(err, <-served)
}

// demoConfig is the configuration that flags say, with a registry that works here
// unless they name one.
func (inv *invocation) demoConfig() (service.Config, error) {
	if registry := &inv.options.config.Registry.Name; *registry == "" {
		*registry = "mdns"
		if !discovery.MulticastWorks() {
			*registry = "memory"
		}
	}
	return inv.instanceConfig()
}

// publishSample starts to publish the sample's checks once the instance serves. A check
// that is published before it can arrive would be missing for an interval.
func publishSample(ctx context.Context, instance *service.Instance, publisher *health.Reporter) error {
	select {
	case <-ctx.Done():
		return nil
	case <-instance.Serving():
		instance.AwaitBus(ctx)
		return publisher.Start()
	}
}

// awaitSample waits until the sample's checks have arrived over the broker, and tells
// whether it is time to explain.
func awaitSample(ctx context.Context, instance *service.Instance, log *slog.Logger) bool {
	deadline := time.Now().Add(samplePatience)
	for ctx.Err() == nil {
		page, err := instance.Store().Checks(store.Query{Service: sample.Name})
		if err == nil && page.Total == len(sample.Checks()) {
			return true
		}
		if time.Now().After(deadline) {
			log.Warn("the checks of the sample do not arrive; /healthz may say why", "http", instance.HTTPAddress())
			return true
		}
		pause(ctx, 20*time.Millisecond)
	}
	return false
}

// registryPoll is how often the demo looks whether the registry has become well.
const registryPoll = 500 * time.Millisecond

// followRegistry says whether the registry is well, and if it is not, once it is. The
// log of the demo says only what is wrong.
func followRegistry(ctx context.Context, w io.Writer, instance *service.Instance) {
	reason := instance.RegistryReason()
	if reason != "" {
		fmt.Fprintf(w, "\nThe registry is not well yet: %s\n", reason)
	}
	for reason != "" && ctx.Err() == nil {
		pause(ctx, registryPoll)
		reason = instance.RegistryReason()
	}
	if reason == "" {
		fmt.Fprintln(w, "\nThe registry is well: this instance is registered.")
	}
}

// explain prints the commands that ask an instance.
func explain(w io.Writer, cfg service.Config, instance *service.Instance) {
	rpc := reachable(instance.RPCAddress())
	env := "MICRO_PROXY=" + rpc + " "
	switch cfg.Registry.Name {
	case "mdns":
		fmt.Fprintln(w, "Registry: mdns, because multicast works here. MICRO_REGISTRY=mdns instead of MICRO_PROXY works too.")
	case "memory":
		fmt.Fprintln(w, "Registry: memory, so only MICRO_PROXY finds the instance (mdns would need multicast).")
	default:
		fmt.Fprintln(w, "Registry: Consul.")
		env = ""
		if cfg.Registry.Address != "" {
			env = "MICRO_REGISTRY_ADDRESS=" + cfg.Registry.Address + " "
		}
	}
	fmt.Fprintf(w, "A sample service, %s %s, publishes two checks every %v. Ask from another terminal:\n\n", sample.Name, sample.Version, demoInterval)
	call := env + "bin/micro call " + cfg.Server.Name + " "
	for _, line := range []string{
		"make micro",
		call + "Monitor.HealthChecks '{}'",
		call + `Monitor.HealthChecks '{"id": "go.micro.healthcheck.pong"}'`,
		call + "Monitor.Status '{}'",
		call + "Monitor.History '{}'",
		"curl -s http://" + instance.HTTPAddress() + "/healthz",
		"curl -s -H 'Content-Type: application/json' -H 'Micro-Endpoint: Monitor.HealthChecks' -d '{}' http://" + rpc,
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
