package health

import (
	"fmt"
	"maps"
	"net"

	"go-micro.dev/v4/server"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// Identity identifies the node that publishes. It must be the identity in the
// registry, so that the monitoring service knows which node the events are from.
type Identity struct {
	// Name of the service, such as "go.micro.srv.greeter". Required; at most
	// MaxServiceName bytes of UTF-8 without control characters.
	Name string
	// Version of the service. Optional; at most MaxVersion bytes.
	Version string
	// NodeID identifies this instance among all nodes. Required; at most MaxNodeID
	// bytes. The server of go-micro registers Name + "-" + its id.
	NodeID string
	// Address of the node as host:port. Empty if it is not known.
	Address string
	// Metadata of the node. It has the limits of the results of a check; what exceeds
	// them is truncated.
	Metadata map[string]string
}

// identityOf returns the identity under which a server is registered.
func identityOf(o server.Options) Identity {
	return Identity{
		Name:     o.Name,
		Version:  o.Version,
		NodeID:   o.Name + "-" + o.Id,
		Address:  addressOf(o),
		Metadata: maps.Clone(o.Metadata),
	}
}

// addressOf returns the advertised address, which the server of go-micro knows once
// it has registered, or else the address it listens on, if others can use that.
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

// withDefaults fills empty fields from defaults.
func (id Identity) withDefaults(defaults Identity) Identity {
	if id.Name == "" {
		id.Name = defaults.Name
	}
	if id.Version == "" {
		id.Version = defaults.Version
	}
	if id.NodeID == "" {
		id.NodeID = defaults.NodeID
	}
	if id.Address == "" {
		id.Address = defaults.Address
	}
	if id.Metadata == nil {
		id.Metadata = defaults.Metadata
	}
	return id
}

// validate returns an error if the monitoring service would refuse id.
func (id Identity) validate() error {
	if err := validateName(id.Name, MaxServiceName); err != nil {
		return fmt.Errorf("name of the service %.40q %w", id.Name, err)
	}
	if id.Version != "" {
		if err := validateName(id.Version, MaxVersion); err != nil {
			return fmt.Errorf("version %.40q %w", id.Version, err)
		}
	}
	if err := validateName(id.NodeID, MaxNodeID); err != nil {
		return fmt.Errorf("node id %.40q %w", id.NodeID, err)
	}
	return nil
}

// service is the part of the identity that each event carries.
func (id Identity) service() *healthpb.Service {
	return &healthpb.Service{
		Name:    id.Name,
		Version: id.Version,
		Nodes:   []*healthpb.Node{{Id: id.NodeID}},
	}
}

// fullService adds what only statuses carry: address and metadata.
func (id Identity) fullService() *healthpb.Service {
	s := id.service()
	s.Nodes[0].Address, _ = truncate(id.Address, MaxText)
	s.Nodes[0].Metadata, _ = truncateResults(id.Metadata)
	return s
}
