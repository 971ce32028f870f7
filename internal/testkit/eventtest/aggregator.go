package eventtest

import (
	"sync"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// Aggregator2016 does with an event what the aggregator of 2016 did: it decodes it, and
// keeps it in a list by check id that it searches for the node. The zero value is ready
// to use.
type Aggregator2016 struct {
	mu     sync.RWMutex
	checks map[string][]*healthpb.HealthCheck // guarded by mu
}

// Put takes the bytes of a health check.
func (a *Aggregator2016) Put(wire []byte) error {
	m := new(healthpb.HealthCheck)
	if err := proto.Unmarshal(wire, m); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, held := range a.checks[m.Id] {
		if held.Service.Nodes[0].Id == m.Service.Nodes[0].Id {
			a.checks[m.Id][i] = m
			return nil
		}
	}
	if a.checks == nil {
		a.checks = make(map[string][]*healthpb.HealthCheck)
	}
	a.checks[m.Id] = append(a.checks[m.Id], m)
	return nil
}
