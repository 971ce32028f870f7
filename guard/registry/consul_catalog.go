package registry

import (
	"cmp"
	"context"
	"maps"
	"sync"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"
	mnet "go-micro.dev/v4/util/net"
)

// catalogNode is a node of a service as Consul knows it.
type catalogNode struct {
	nodeTags
	id, address string
	port        int
	critical    bool
}

// catalogReader reads the nodes of services.
type catalogReader struct {
	client   *api.Client
	decoders sync.Pool // of *tagDecoder
}

// catalogEntry is a row of Consul's answer, as far as it is looked into.
type catalogEntry struct {
	Node    struct{ Address string }
	Service struct {
		ID, Service, Address string
		Tags                 []string
		Meta                 map[string]string
		Port                 int
	}
	Checks []struct{ Status string }
}

// nodes reads the nodes of a service.
func (r *catalogReader) nodes(ctx context.Context, service string, q *api.QueryOptions) ([]catalogNode, *api.QueryMeta, error) {
	var entries []catalogEntry
	meta, err := r.client.Raw().Query("/v1/health/service/"+service, &entries, q.WithContext(ctx))
	if err != nil {
		return nil, meta, err
	}
	decoder, _ := r.decoders.Get().(*tagDecoder)
	if decoder == nil {
		decoder = new(tagDecoder)
	}
	defer r.decoders.Put(decoder)
	nodes := make([]catalogNode, 0, len(entries))
	for _, e := range entries {
		if e.Service.Service != service {
			continue
		}
		n := catalogNode{
			nodeTags: decoder.decode(e.Service.Tags), id: e.Service.ID,
			address: cmp.Or(e.Service.Address, e.Node.Address), port: e.Service.Port,
		}
		for _, c := range e.Checks {
			n.critical = n.critical || c.Status == api.HealthCritical
		}
		if len(n.metadata) == 0 {
			n.metadata = e.Service.Meta
		}
		nodes = append(nodes, n)
	}
	return nodes, meta, nil
}

// versions returns a service in the form of go-micro: its versions with their nodes that are
// not critical. A version whose nodes all are has none.
func (r *catalogReader) versions(ctx context.Context, name string, q *api.QueryOptions) ([]*registry.Service, uint64, error) {
	nodes, meta, err := r.nodes(ctx, name, q)
	if err != nil {
		return nil, 0, err
	}
	var services []*registry.Service
	byVersion := make(map[string]*registry.Service)
	for _, n := range nodes {
		s := byVersion[n.version]
		if s == nil {
			s = &registry.Service{Name: name, Version: n.version, Endpoints: n.endpoints}
			byVersion[n.version] = s
			services = append(services, s)
		}
		if !n.critical {
			s.Nodes = append(s.Nodes, &registry.Node{
				Id: n.id, Address: mnet.HostPort(n.address, n.port), Metadata: maps.Clone(n.metadata),
			})
		}
	}
	return services, meta.LastIndex, nil
}
