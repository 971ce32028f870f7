package metrics

import (
	"slices"
	"strings"

	"github.com/microhq/monitor-srv/store"
)

// other is the label value of what is summed beyond a limit.
const other = "other"

// missing is the status of what was silent past its ttl.
const missing = "MISSING"

type fleetFamilies struct{ services, nodes, checks *family }

func newFleetFamilies(c *contract) fleetFamilies {
	return fleetFamilies{
		services: c.gauge("services", "Known services."),
		nodes:    c.gauge("nodes", "Nodes of a service that published a status, by judged status.", "service", "status"),
		checks:   c.gauge("checks", "Health checks of a service, by judged status. Those of stopped nodes are not counted.", "service", "status"),
	}
}

// seriesOfService is how many series a service has.
const seriesOfService = 10

// collectFleet adds the series of services.
func (c *Collector) collectFleet(out sink) {
	f := &c.contract.fleet
	all := c.sources.Store.CountServices()
	out.add(f.services, float64(len(all)))
	shown, rest := split(all, c.limits.services/seriesOfService)
	c.leaveOut(len(rest), seriesOfService)
	for i := range shown {
		c.addService(out, newLabel("service", shown[i].Service), &shown[i])
	}
	if len(rest) > 0 {
		sum := sumServices(rest)
		c.addService(out, newLabel("service", other), &sum)
	}
}

// addService adds the series of one service.
func (c *Collector) addService(out sink, service label, counts *store.ServiceCounts) {
	f := &c.contract.fleet
	for _, s := range c.nodeStatuses {
		out.add(f.nodes, float64(s.of(&counts.Nodes, counts.MissingNodes)), service, s.label)
	}
	for _, s := range c.checkStatuses {
		out.add(f.checks, float64(s.of(&counts.Checks, counts.MissingChecks)), service, s.label)
	}
}

// status is a label that all services share.
type status struct {
	label label
	index int // in the counts, -1 for missing
}

func (s status) of(counts *[4]int, missing int) int {
	if s.index < 0 {
		return missing
	}
	return counts[s.index]
}

// newStatuses returns the statuses by name: what is sorted already costs least.
func newStatuses(names [4]string) []status {
	all := []status{{newLabel("status", missing), -1}}
	for i, name := range names {
		all = append(all, status{newLabel("status", name), i})
	}
	slices.SortFunc(all, func(a, b status) int { return strings.Compare(a.label.GetValue(), b.label.GetValue()) })
	return all
}

// split returns the services with series of their own, by name, and the rest. If there is
// no room for all, those that somebody vouches for come first, so that invented names
// crowd nobody out. A service with the name of the sum is always part of it.
func split(all []store.ServiceCounts, room int) (shown, rest []store.ServiceCounts) {
	isOther := func(c store.ServiceCounts) bool { return c.Service == other }
	if len(all) <= room && !slices.ContainsFunc(all, isOther) {
		return all, nil
	}
	for _, believed := range []bool{true, false} {
		for _, counts := range all {
			switch {
			case counts.Believed != believed:
			case len(shown) < room && !isOther(counts):
				shown = append(shown, counts)
			default:
				rest = append(rest, counts)
			}
		}
	}
	return shown, rest
}

func sumServices(all []store.ServiceCounts) (sum store.ServiceCounts) {
	for _, counts := range all {
		for i := range counts.Nodes {
			sum.Nodes[i] += counts.Nodes[i]
			sum.Checks[i] += counts.Checks[i]
		}
		sum.MissingNodes += counts.MissingNodes
		sum.MissingChecks += counts.MissingChecks
	}
	return sum
}
