package health

import (
	"fmt"
	"maps"
	"net"

	"go-micro.dev/v4/server"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// Identity names the publisher of events. It must be that of the registry, so
// that the monitoring service can tell which node it hears.
type Identity struct {
	// Name of the service, at most MaxServiceName bytes.
	Name string
	// Version of the service, at most MaxVersion bytes; may be empty.
	Version string
	// NodeID of this instance, at most MaxNodeID bytes. The stock server
	// registers Name + "-" + its id.
	NodeID string
	// Address as host:port at which the node serves; empty if it is not known.
	Address string
	// Metadata of the node, cut to the limits of results.
	Metadata map[string]string
}

// identityOf reads what the registry is told of a server.
func identityOf(o server.Options) Identity {
	return Identity{
		Name:     o.Name,
		Version:  o.Version,
		NodeID:   o.Name + "-" + o.Id,
		Address:  addressOf(o),
		Metadata: maps.Clone(o.Metadata),
	}
}

// addressOf is the advertised address, which the stock server knows once it has
// registered, or the one it listens at if others can use that.
func addressOf(o server.Options) string {
	if o.Advertise != "" {
		return o.Advertise
	}
	host, port, err := net.SplitHostPort(o.Address)
	if err != nil || port == "0" || host == "" {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return ""
	}
	return o.Address
}

// or fills what is empty from other.
func (id Identity) or(other Identity) Identity {
	if id.Name == "" {
		id.Name = other.Name
	}
	if id.Version == "" {
		id.Version = other.Version
	}
	if id.NodeID == "" {
		id.NodeID = other.NodeID
	}
	if id.Address == "" {
		id.Address = other.Address
	}
	if id.Metadata == nil {
		id.Metadata = other.Metadata
	}
	return id
}

// validate tells what the monitoring service would refuse.
func (id Identity) validate() error {
	if err := checkName(id.Name, MaxServiceName); err != nil {
		return fmt.Errorf("name of the service %.40q %w", id.Name, err)
	}
	if id.Version != "" {
		if err := checkName(id.Version, MaxVersion); err != nil {
			return fmt.Errorf("version %.40q %w", id.Version, err)
		}
	}
	if err := checkName(id.NodeID, MaxNodeID); err != nil {
		return fmt.Errorf("node id %.40q %w", id.NodeID, err)
	}
	return nil
}

// short is what each event carries.
func (id Identity) short() *healthpb.Service {
	return &healthpb.Service{
		Name:    id.Name,
		Version: id.Version,
		Nodes:   []*healthpb.Node{{Id: id.NodeID}},
	}
}

// long adds what the monitoring service remembers of a node.
func (id Identity) long() *healthpb.Service {
	s := id.short()
	s.Nodes[0].Address, _ = clip(id.Address, MaxText)
	s.Nodes[0].Metadata, _ = clipResults(id.Metadata)
	return s
}
