package discovery

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
)

// A Caller lets probes call services that are found through a registry.
type Caller struct {
	registry registry.Registry
	client   client.Client
}

var _ probe.Caller = Caller{}

// NewCaller returns a Caller that calls through a client.
func NewCaller(reg registry.Registry, c client.Client) Caller {
	return Caller{registry: reg, client: c}
}

// Nodes implements probe.Caller.
func (c Caller) Nodes(ctx context.Context, service string) ([]probe.Node, error) {
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

// Call implements probe.Caller. It does not retry, because a probe measures one call.
func (c Caller) Call(ctx context.Context, call probe.Call) (json.RawMessage, error) {
	opts := append(untilDeadline(ctx), client.WithRetries(0))
	if call.Node.Address != "" {
		opts = append(opts, client.WithAddress(call.Node.Address))
	}
	var answer json.RawMessage
	request := c.client.NewRequest(call.Service, call.Endpoint, call.Request, client.WithContentType("application/json"))
	return answer, sentence(c.client.Call(ctx, request, &answer, opts...))
}

// sentence converts an error of go-micro, which is JSON, to one sentence.
func sentence(err error) error {
	var e *merrors.Error
	if !errors.As(err, &e) {
		return err
	}
	return fmt.Errorf("%s (%d %s)", cmp.Or(e.Detail, "no reason given"), e.Code, e.Id)
}

// untilDeadline bounds a call by the time that the probe has left.
func untilDeadline(ctx context.Context) []client.CallOption {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	left := time.Until(deadline)
	return []client.CallOption{client.WithRequestTimeout(left), client.WithDialTimeout(left)}
}
