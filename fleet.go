package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"go-micro.dev/v4/client"
	merrors "go-micro.dev/v4/errors"

	"github.com/microhq/monitor-srv/guard"
	"github.com/microhq/monitor-srv/probe"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

// fleet is what a command that tries probes sees of services: the registry that
// the flags name, and an instance of ours that is found there, which knows what
// services publish. The zero value sees nothing; open and close bound its life.
type fleet struct {
	caller
	guarded  *guard.Registry
	name     string // of our service
	unopened string // what the registry says of itself before it is open
	end      context.CancelFunc
	running  sync.WaitGroup
}

var (
	_ probe.Caller      = (*fleet)(nil)
	_ probe.EventSource = (*fleet)(nil)
	_ probe.StatsSource = (*fleet)(nil)
)

// open makes the client and begins to open the registry.
func (f *fleet) open(c *cli.Context) error {
	cfg, err := lookupConfig(c)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	quietFramework(log)
	if f.guarded, err = newRegistry(cfg, log); err != nil {
		return err
	}
	f.name, f.unopened = cfg.server.name, f.guarded.State().Reason
	f.caller = caller{f.guarded, client.NewClient(
		client.Registry(f.guarded),
		client.Transport(guard.NewTransport(guard.TransportConfig{Log: log})),
		client.Retries(cfg.client.retries),
		client.WithLogger(guard.NewLogger(log)),
	)}
	ctx, end := context.WithCancel(c.Context)
	f.end = end
	f.running.Go(func() { _ = f.guarded.Run(ctx) })
	return nil
}

func (f *fleet) close() {
	f.end()
	f.running.Wait()
}

// ready waits until the registry is open or says why it is not.
func (f *fleet) ready(ctx context.Context) error {
	for {
		if s := f.guarded.State(); s.OK || s.Reason != f.unopened {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New(f.unopened)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Nodes implements probe.Caller.
func (f *fleet) Nodes(ctx context.Context, service string) ([]probe.Node, error) {
	if err := f.ready(ctx); err != nil {
		return nil, err
	}
	return f.caller.Nodes(ctx, service)
}

// Call implements probe.Caller.
func (f *fleet) Call(ctx context.Context, call probe.Call) (json.RawMessage, error) {
	if err := f.ready(ctx); err != nil {
		return nil, err
	}
	return f.caller.Call(ctx, call)
}

// instance returns a client of a running instance, or says that there is none.
func (f *fleet) instance(ctx context.Context) (monitorpb.MonitorService, error) {
	nodes, err := f.Nodes(ctx, f.name)
	if err != nil {
		return nil, fmt.Errorf("looking for an instance of %s, which hears what services publish: %w; --%s and --%s name another registry", f.name, err, flagRegistry, flagRegistryAddress)
	}
	if len(nodes) == 0 {
		where := f.guarded.String()
		if address := f.guarded.Options().Addrs[0]; address != "" {
			where += " at " + address
		}
		return nil, fmt.Errorf("no instance of %s, which hears what services publish, is found in the registry %s: start one, or name another registry with --%s and --%s", f.name, where, flagRegistry, flagRegistryAddress)
	}
	return monitorpb.NewMonitorService(f.name, f.client), nil
}

// Checks implements probe.EventSource.
func (f *fleet) Checks(ctx context.Context, service, check, node string) ([]probe.Check, error) {
	instance, err := f.instance(ctx)
	if err != nil {
		return nil, err
	}
	req := &monitorpb.HealthChecksRequest{Service: service, Id: check, Node: node, Limit: store.MaxLimit}
	// Those of stopped nodes are only told apart by what is left out without
	// missing ones, which count only if no other reports.
	all, err := f.checks(ctx, instance, req)
	if err == nil && len(all) == 0 {
		req.Missing, req.Cursor = true, ""
		all, err = f.checks(ctx, instance, req)
	}
	var checks []probe.Check
	for _, c := range all {
		if req.Missing && !c.Missing {
			continue
		}
		reported, silent := c.Status, c.Missing
		if c.Reported != healthpb.HealthCheck_UNKNOWN { // it is judged otherwise
			reported, silent = c.Reported, true
		}
		checks = append(checks, probe.Check{
			Node: c.GetService().GetId(), Status: checkStatus(reported), Age: age(c.Received), Stale: silent, Error: c.Error,
		})
	}
	return checks, err
}

// checks asks for all pages. A service that is not known has none.
func (f *fleet) checks(ctx context.Context, instance monitorpb.MonitorService, req *monitorpb.HealthChecksRequest) ([]*healthpb.HealthCheck, error) {
	var all []*healthpb.HealthCheck
	for {
		rsp, err := instance.HealthChecks(ctx, req, within(ctx)...)
		if err != nil {
			return all, f.unlessNotFound(err)
		}
		all = append(all, rsp.HealthChecks...)
		if req.Cursor = rsp.Cursor; req.Cursor == "" {
			return all, nil
		}
	}
}

func (f *fleet) unlessNotFound(err error) error {
	if merrors.FromError(err).Code == 404 {
		return nil
	}
	return fmt.Errorf("asking an instance of %s: %w", f.name, plainRPC(err))
}

// Stats implements probe.StatsSource.
func (f *fleet) Stats(ctx context.Context, service string) ([]probe.NodeStats, error) {
	instance, err := f.instance(ctx)
	if err != nil {
		return nil, err
	}
	req := &monitorpb.StatsRequest{Service: service, Limit: store.MaxLimit}
	var all []probe.NodeStats
	for {
		rsp, err := instance.Stats(ctx, req, within(ctx)...)
		if err != nil {
			return all, f.unlessNotFound(err)
		}
		for _, p := range rsp.Stats {
			all = append(all, nodeStats(p, p.GetService().GetId(), age(p.Received), time.Duration(p.Interval)*time.Second))
		}
		if req.Cursor = rsp.Cursor; req.Cursor == "" {
			return all, nil
		}
	}
}

// age is the time since an event arrived, as far as clocks agree.
func age(received int64) time.Duration {
	return max(0, time.Since(time.Unix(received, 0)))
}

// lookupConfig is what of the flags concerns the finding of services.
func lookupConfig(c *cli.Context) (config, error) {
	cfg := config{
		registry:        c.String(flagRegistry),
		registryAddress: c.String(flagRegistryAddress),
		server:          serverConfig{name: c.String(flagServerName)},
		client:          clientConfig{retries: c.Int(flagRetries)},
	}
	if cfg.client.retries < 0 {
		return cfg, usageError{fmt.Errorf("--%s %d is out of range: give 0 or more", flagRetries, cfg.client.retries)}
	}
	return cfg, oneOf(flagRegistry, cfg.registry, registries()...)
}
