package discovery

import (
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/registry"
)

// multicastPatience bounds the test of multicast.
const multicastPatience = 2 * time.Second

// MulticastWorks reports whether a service that is announced by mdns is found.
func MulticastWorks() bool {
	name := "multicast-" + uuid.NewString()
	r := registry.NewRegistry()
	s := &registry.Service{Name: name, Nodes: []*registry.Node{{Id: name, Address: "127.0.0.1:1"}}}
	if err := r.Register(s); err != nil {
		return false
	}
	defer func() { _ = r.Deregister(s) }()
	found := make(chan bool, 1)
	go func() {
		services, err := registry.NewRegistry(registry.Timeout(multicastPatience / 2)).GetService(name)
		found <- err == nil && len(services) > 0
	}()
	select {
	case ok := <-found:
		return ok
	case <-time.After(multicastPatience):
		return false
	}
}
