package probe

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// maxCalls bounds the concurrent calls; maxNodes bounds the nodes that are
	// called.
	maxCalls = 8
	maxNodes = 1000
)

// Caller calls services that are found through the registry.
type Caller interface {
	// Nodes returns the registered nodes of a service, in no order.
	Nodes(ctx context.Context, service string) ([]Node, error)
	// Call sends a JSON request to one node, or to any if its address is empty, and
	// returns the JSON response. It is called concurrently.
	Call(ctx context.Context, call Call) (json.RawMessage, error)
}

// Node is one running instance of a service.
type Node struct{ ID, Address string }

// Call is one call of an endpoint.
type Call struct {
	// Service and Endpoint are those of go-micro, such as "go.micro.srv.greeter" and
	// "Say.Hello".
	Service, Endpoint string
	// Node is the node to call; any if its address is empty.
	Node Node
	// Request is a JSON object.
	Request json.RawMessage
}

// rpcConfig holds the keys of the kind rpc.
type rpcConfig struct {
	// Service and Endpoint name the method.
	Service  string `toml:"service"`
	Endpoint string `toml:"endpoint"`
	// Request is the request in JSON.
	Request string `toml:"request"`
	// Nodes is any (the choice of the registry) or all.
	Nodes string `toml:"nodes"`
	// Measure is status (0 if every call succeeded), latency of the slowest call in
	// seconds, or failed (the number of failed calls).
	Measure string `toml:"measure"`
}

type rpcProbe struct {
	config rpcConfig
	caller Caller
}

func newRPC(decode func(any) error, env Env) (Probe, error) {
	c := rpcConfig{Request: "{}", Nodes: "any", Measure: "status"}
	if err := decode(&c); err != nil {
		return nil, err
	}
	if err := cmp.Or(env.localOnly(), required("service", c.Service), required("endpoint", c.Endpoint)); err != nil {
		return nil, err
	}
	if !json.Valid([]byte(c.Request)) {
		return nil, errors.New("request: not JSON")
	}
	if err := cmp.Or(checkOneOf("nodes", c.Nodes, "any", "all"), checkOneOf("measure", c.Measure, "status", "latency", "failed")); err != nil {
		return nil, err
	}
	if env.Caller == nil {
		return nil, errors.New("calls are not available here")
	}
	return &rpcProbe{config: c, caller: env.Caller}, nil
}

// Probe calls the method.
func (p *rpcProbe) Probe(ctx context.Context) (Result, error) {
	nodes := []Node{{}}
	if p.config.Nodes == "all" {
		var err error
		if nodes, err = p.nodes(ctx); err != nil {
			return Result{Value: failedValue}, fmt.Errorf("%s: %w", p.config.Service, withCause(ctx, err))
		}
	}
	calls := p.callAll(ctx, nodes)
	r, err := p.judge(calls)
	if err != nil {
		return r, fmt.Errorf("%s %s: %w", p.config.Service, p.config.Endpoint, withCause(ctx, err))
	}
	return r, nil
}

func (p *rpcProbe) nodes(ctx context.Context) ([]Node, error) {
	nodes, err := p.caller.Nodes(ctx, p.config.Service)
	switch {
	case err != nil:
		return nil, fmt.Errorf("looking for nodes: %w", err)
	case len(nodes) == 0:
		return nil, errors.New("no node is registered")
	case len(nodes) > maxNodes:
		return nil, fmt.Errorf("%d nodes are registered, more than the %d that can be called", len(nodes), maxNodes)
	}
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.ID, b.ID) })
	return nodes, nil
}

// callResult is the result of one call.
type callResult struct {
	node Node
	took time.Duration
	err  error
}

// callAll calls the nodes, a few at a time, and returns the results in the order of
// the nodes.
func (p *rpcProbe) callAll(ctx context.Context, nodes []Node) []callResult {
	answers := make([]callResult, len(nodes))
	var group errgroup.Group
	group.SetLimit(maxCalls)
	for i, node := range nodes {
		group.Go(func() error {
			answers[i] = p.call(ctx, node)
			return nil
		})
	}
	_ = group.Wait() // no call returns an error here
	return answers
}

// call calls one node. It returns when ctx ends, even if Caller.Call does not.
func (p *rpcProbe) call(ctx context.Context, node Node) callResult {
	begin := time.Now()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("the call panicked: %v", r)
			}
		}()
		reply, err := p.caller.Call(ctx, Call{
			Service: p.config.Service, Endpoint: p.config.Endpoint, Node: node, Request: json.RawMessage(p.config.Request),
		})
		if err == nil && len(reply) > 0 && !json.Valid(reply) {
			err = errors.New("the answer is not JSON")
		}
		done <- err
	}()
	select {
	case err := <-done:
		return callResult{node, time.Since(begin), err}
	case <-ctx.Done():
		return callResult{node, time.Since(begin), context.Cause(ctx)}
	}
}

// judge turns the results of the calls into a result. If failed calls are counted,
// some failures are left to the thresholds.
func (p *rpcProbe) judge(answers []callResult) (Result, error) {
	var slowest time.Duration
	var failed []callResult
	for _, a := range answers {
		slowest = max(slowest, a.took)
		if a.err != nil {
			failed = append(failed, a)
		}
	}
	r := Result{Detail: fmt.Sprintf("%d of %d calls answered, the slowest in %v", len(answers)-len(failed), len(answers), slowest.Round(time.Microsecond))}
	if p.config.Measure == "failed" && len(failed) < len(answers) {
		r.Value = float64(len(failed))
		return r, nil
	}
	if len(failed) > 0 {
		r.Value = failedValue
		if p.config.Nodes == "any" {
			return r, failed[0].err
		}
		return r, fmt.Errorf("%d of %d nodes failed, first %q: %w", len(failed), len(answers), failed[0].node.ID, failed[0].err)
	}
	if p.config.Measure == "latency" {
		r.Value = slowest.Seconds()
	}
	return r, nil
}

// Close does nothing: the connections belong to the Caller.
func (p *rpcProbe) Close() error { return nil }
