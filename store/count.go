package store

import healthpb "github.com/microhq/monitor-srv/proto/health"

// ServiceCounts are the numbers of nodes and checks of one service.
type ServiceCounts struct {
	Service string
	// Believed is set if somebody vouches for a node of the service, see Store.Believe.
	Believed bool
	// Nodes counts the nodes with a published status by their judged one, Checks the live
	// checks. The missing ones are counted apart.
	Nodes, Checks               [4]int
	MissingNodes, MissingChecks int
}

// StatusNames returns the names of the statuses that index ServiceCounts.
func StatusNames() (nodes, checks [4]string) {
	for i := range 4 {
		nodes[i], checks[i] = healthpb.Status_Status(i).String(), healthpb.HealthCheck_Status(i).String()
	}
	return nodes, checks
}

// maxCounted bounds the services that are counted without releasing the lock.
const maxCounted = 64

// CountServices returns the counts of every service, by name.
func (s *Store) CountServices() []ServiceCounts {
	s.advance()
	count := newCounter()
	var all []ServiceCounts
	for at, more := (bound{}), true; more; {
		all, at, more = s.countSome(all, at, count)
	}
	return all
}

// countSome appends the counts of at most maxCounted services from at on, and returns
// where to go on and whether there may be more.
func (s *Store) countSome(all []ServiceCounts, at bound, count counter) ([]ServiceCounts, bound, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if all == nil {
		all = make([]ServiceCounts, 0, s.services.count(allClasses))
	}
	left := maxCounted
	s.services.walk(s.services.before(at, allClasses), allClasses, func(sv *service) bool {
		all = append(all, ServiceCounts{Service: sv.name, Believed: sv.believed > 0})
		count.fill(s, &all[len(all)-1])
		at = bound{key: sv.key(), n: 1, after: true}
		left--
		return left > 0
	})
	return all, at, left == 0
}

// counter holds the classes that are counted, by status.
type counter struct{ nodes, checks [4]classSet }

func newCounter() (c counter) {
	for status := range 4 {
		c.nodes[status] = nodeClasses(&Query{NodeStatuses: []healthpb.Status_Status{healthpb.Status_Status(status)}})
		c.checks[status] = checkClasses(&Query{Statuses: []healthpb.HealthCheck_Status{healthpb.HealthCheck_Status(status)}})
	}
	return c
}

// fill counts the nodes and checks of a service. The caller holds the lock.
func (c *counter) fill(s *Store, out *ServiceCounts) {
	from, to := span(out.Service)
	nodes, checks := s.statuses.between(from, to), s.checks.between(from, to)
	for status := range 4 {
		out.Nodes[status] = nodes.in(c.nodes[status])
		out.Checks[status] = checks.in(c.checks[status])
	}
	out.MissingNodes, out.MissingChecks = nodes.in(missingClasses), checks.in(missingClasses)
}
