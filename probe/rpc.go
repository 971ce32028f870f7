package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Caller calls services that are found through a registry.
type Caller interface {
	// Nodes returns the nodes of a service, in no order. One that is not
	// registered has none.
	Nodes(ctx context.Context, service string) ([]Node, error)
	// Call sends a request to one node, or to any if its address is empty, and
	// returns the answer, both in JSON. It is called from several goroutines.
	Call(ctx context.Context, call Call) (json.RawMessage, error)
}

// Node is one running instance of a service.
type Node struct{ ID, Address string }

// Call is one call of a method.
type Call struct {
	// Service and Endpoint as in go-micro, such as "go.micro.srv.greeter" and
	// "Say.Hello".
	Service, Endpoint string
	// Node to call; any if its address is empty.
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
	// Nodes is any (the registry's choice) or all (each of them).
	Nodes string `toml:"nodes"`
	// Measure is status (0 if every call was answered), latency of the slowest
	// call in seconds, or failed (how many calls were not answered).
	Measure string `toml:"measure"`
}

const (
	// maxCalls is how many nodes are called at the same time, and maxNodes how
	// many are called at all.
	maxCalls = 8
	maxNodes = 1000
)

type rpcProbe struct {
	config rpcConfig
	caller Caller
}

func newRPC(decode func(any) error, env Env) (Probe, error) {
	c := rpcConfig{Request: "{}", Nodes: "any", Measure: "status"}
	if err := decode(&c); err != nil {
		return nil, err
	}
	if err := env.localOnly(); err != nil {
		return nil, err
	}
	if err := required("service", c.Service); err != nil {
		return nil, err
	}
	if err := required("endpoint", c.Endpoint); err != nil {
		return nil, err
	}
	if !json.Valid([]byte(c.Request)) {
		return nil, errors.New("request: not JSON")
	}
	if err := oneOf("nodes", c.Nodes, "any", "all"); err != nil {
		return nil, err
	}
	if err := oneOf("measure", c.Measure, "status", "latency", "failed"); err != nil {
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
			return Result{Value: failedValue}, fmt.Errorf("%s: %w", p.config.Service, ended(ctx, err))
		}
	}
	calls := p.callAll(ctx, nodes)
	r, err := p.judge(calls)
	if err != nil {
		return r, fmt.Errorf("%s %s: %w", p.config.Service, p.config.Endpoint, ended(ctx, err))
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

// answer is what became of one call.
type answer struct {
	node Node
	took time.Duration
	err  error
}

// callAll calls the nodes, a few at a time, and returns the answers in the order
// of the nodes.
func (p *rpcProbe) callAll(ctx context.Context, nodes []Node) []answer {
	answers := make([]answer, len(nodes))
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

// call calls one node. It returns when ctx is done even if the caller does not.
func (p *rpcProbe) call(ctx context.Context, node Node) answer {
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
		return answer{node, time.Since(begin), err}
	case <-ctx.Done():
		return answer{node, time.Since(begin), context.Cause(ctx)}
	}
}

// judge turns the answers into a result. Where failed calls are counted, they
// are for the thresholds to judge.
func (p *rpcProbe) judge(answers []answer) (Result, error) {
	var slowest time.Duration
	var failed []answer
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

// Close does nothing: the connections are the caller's.
func (p *rpcProbe) Close() error { return nil }
