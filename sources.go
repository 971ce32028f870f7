package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go-micro.dev/v4/client"
	merrors "go-micro.dev/v4/errors"
	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/probe"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

// caller lets probes call other services through a client of ours.
type caller struct {
	registry registry.Registry
	client   client.Client
}

var _ probe.Caller = caller{}

// Nodes implements probe.Caller.
func (c caller) Nodes(ctx context.Context, service string) ([]probe.Node, error) {
	services, err := c.registry.GetService(service, registry.GetContext(ctx))
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return nil, err
	}
	var nodes []probe.Node
	for _, s := range services {
		for _, n := range s.Nodes {
			nodes = append(nodes, probe.Node{ID: n.Id, Address: n.Address})
		}
	}
	return nodes, nil
}

// Call implements probe.Caller. A probe measures, so it repeats nothing.
func (c caller) Call(ctx context.Context, call probe.Call) (json.RawMessage, error) {
	opts := append(within(ctx), client.WithRetries(0))
	if call.Node.Address != "" {
		opts = append(opts, client.WithAddress(call.Node.Address))
	}
	var answer json.RawMessage
	request := c.client.NewRequest(call.Service, call.Endpoint, call.Request, client.WithContentType("application/json"))
	return answer, plainRPC(c.client.Call(ctx, request, &answer, opts...))
}

// plainRPC says in one sentence what go-micro says in JSON.
func plainRPC(err error) error {
	var e *merrors.Error
	if !errors.As(err, &e) {
		return err
	}
	return fmt.Errorf("%s (%d %s)", cmp.Or(e.Detail, "no reason given"), e.Code, e.Id)
}

// within bounds a call by the time that the probe has left.
func within(ctx context.Context) []client.CallOption {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	left := time.Until(deadline)
	return []client.CallOption{client.WithRequestTimeout(left), client.WithDialTimeout(left)}
}

// walk asks for all pages.
func walk[T any](ask func(store.Query) (store.Page[T], error), q store.Query) ([]T, error) {
	var all []T
	for q.Limit = store.MaxLimit; ; {
		page, err := ask(q)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return all, nil
		}
	}
}

// eventSource lets probes see the newest published checks.
type eventSource struct{ store *store.Store }

var _ probe.EventSource = eventSource{}

// Checks implements probe.EventSource.
func (s eventSource) Checks(_ context.Context, service, check, node string) ([]probe.Check, error) {
	items, err := walk(s.store.Checks, store.Query{Service: service, ID: check, Node: node, Missing: true})
	var checks []probe.Check
	for _, c := range items {
		if c.Stopped {
			continue
		}
		silent := c.Missing || c.Status != c.Reported
		checks = append(checks, probe.Check{
			Node: c.Node, Status: checkStatus(c.Reported), Age: c.Age, Stale: silent, Error: c.Proto().Error,
		})
	}
	return checks, err
}

func checkStatus(s healthpb.HealthCheck_Status) probe.CheckStatus {
	switch s {
	case healthpb.HealthCheck_OK:
		return probe.CheckOK
	case healthpb.HealthCheck_WARNING:
		return probe.CheckWarning
	case healthpb.HealthCheck_ERROR:
		return probe.CheckError
	}
	return probe.CheckUnknown
}

// statsSource lets probes see the newest published stats.
type statsSource struct{ store *store.Store }

var _ probe.StatsSource = statsSource{}

// Stats implements probe.StatsSource.
func (s statsSource) Stats(_ context.Context, service string) ([]probe.NodeStats, error) {
	items, err := walk(s.store.Stats, store.Query{Service: service})
	nodes := make([]probe.NodeStats, 0, len(items))
	for _, n := range items {
		nodes = append(nodes, nodeStats(n.Proto(), n.Node, n.Age, n.Interval))
	}
	return nodes, err
}

// nodeStats are the figures of a node, published so long ago.
func nodeStats(p *healthpb.Stats, node string, age, interval time.Duration) probe.NodeStats {
	cpu, run, disk := p.GetCpu(), p.GetRuntime(), p.GetDisk()
	out := probe.NodeStats{
		Node: node, Age: age, Stale: age > interval+max(interval/2, 2*time.Second),
		MaxRSS: p.GetMemory().GetMaxRss(), InBlock: disk.GetInBlock(), OuBlock: disk.GetOuBlock(),
		NumThreads: run.GetNumThreads(), HeapTotal: run.GetHeapTotal(), HeapInUse: run.GetHeapInUse(),
		UserTime: cpu.GetUserTime(), SystemTime: cpu.GetSystemTime(),
		VolCtxSwitches: cpu.GetVolCtxSwitch(), InvCtxSwitch: cpu.GetInvCtxSwitch(),
	}
	for _, e := range p.Endpoints {
		if e.Side == healthpb.Endpoint_CLIENT {
			continue // what the node asked of others says nothing of its own endpoints
		}
		out.Endpoints = append(out.Endpoints, probe.EndpointStats{
			Method: e.Method, Success: requests(e.Success), Errors: requests(e.Errors), Dropped: requests(e.Dropped),
		})
	}
	return out
}

func requests(m *healthpb.Metrics) probe.RequestStats {
	return probe.RequestStats{Count: m.GetCount(), Mean: m.GetMean(), StdDev: m.GetStdDev(), Upper95: m.GetUpper95()}
}
