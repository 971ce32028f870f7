package registry

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"
)

// consulRegistry is the Consul plugin with one instance per registered node. An
// instance remembers its registrations by the name of the service. The topics of
// go-micro's http broker share a name: in one instance they overwrite each other, and
// nearly every heartbeat becomes a registration that wakes the watchers of the
// catalog.
type consulRegistry struct {
	registry.Registry // for the names of services
	client            *api.Client
	reader            *catalogReader
	life              context.Context
	newPlugin         func() registry.Registry

	mu      sync.Mutex
	plugins map[string]registry.Registry // guarded by mu; by node id
}

var _ pinger = (*consulRegistry)(nil)

// Register registers or renews the node of s. Without a TTL the plugin checks only
// once a minute whether Consul still has the node, so Register checks it.
func (c *consulRegistry) Register(s *registry.Service, opts ...registry.RegisterOption) error {
	id := s.Nodes[0].Id
	var o registry.RegisterOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.TTL == 0 && c.isGone(id) {
		c.forget(id)
	}
	return c.plugin(id).Register(s, opts...)
}

// isGone reports whether the agent answers that it does not know the node.
func (c *consulRegistry) isGone(id string) bool {
	_, _, err := c.client.Agent().Service(id, nil)
	return isNotFound(err)
}

func isNotFound(err error) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == http.StatusNotFound
}

func (c *consulRegistry) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.plugins, id)
}

// Deregister removes the node of s. An unknown node is not an error.
func (c *consulRegistry) Deregister(s *registry.Service, opts ...registry.DeregisterOption) error {
	id := s.Nodes[0].Id
	if err := c.plugin(id).Deregister(s, opts...); err != nil && !isNotFound(err) {
		return err
	}
	c.forget(id)
	return nil
}

func (c *consulRegistry) plugin(id string) registry.Registry {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.plugins[id]
	if p == nil {
		p = c.newPlugin()
		c.plugins[id] = p
	}
	return p
}

// Ping asks the agent for the leader of its cluster. That is the cheapest request
// that needs both agent and servers, and it needs no permission.
func (c *consulRegistry) Ping(ctx context.Context) error {
	leader, err := c.client.Status().LeaderWithQueryOptions((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return err
	}
	if leader == "" {
		return errors.New("the cluster has no leader")
	}
	return nil
}

// GetService returns the versions of a service with their nodes that are not critical. The
// plugin would panic on the tag "t", which anybody may register, and inflate tags to any size.
func (c *consulRegistry) GetService(name string, _ ...registry.GetOption) ([]*registry.Service, error) {
	services, _, err := c.reader.versions(context.Background(), name, nil)
	return services, err
}

// Watch watches one service, which has to be named.
func (c *consulRegistry) Watch(opts ...registry.WatchOption) (registry.Watcher, error) {
	var o registry.WatchOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.Service == "" {
		return nil, errors.New("watching Consul: a service name is required")
	}
	ctx, cancel := context.WithCancel(c.life)
	return &consulWatch{consul: c, name: o.Service, ctx: ctx, cancel: cancel}, nil
}
