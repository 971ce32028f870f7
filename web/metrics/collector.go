package metrics

import (
	"cmp"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/web"
)

// Sources are what a Collector reads at a scrape. All are required, and none may block.
type Sources struct {
	Store      *store.Store
	Group      *monitor.Group
	Receivers  func() []delivery.ReceiverStatus
	Events     func() Events
	Components func() []web.Component
	Ports      func() []Port
	RPC        func() RPC
	Requests   func() []web.Requests
	// Version is that of the program.
	Version string

	// MaxSeries bounds the series of services, 20,000 by default. MaxMonitors and
	// MaxReceivers bound those with series of their own, 10,000 and 1,000 by default.
	MaxSeries, MaxMonitors, MaxReceivers int
}

type limits struct{ services, monitors, receivers int }

// Collector is a prometheus.Collector of an instance.
type Collector struct {
	sources  Sources
	limits   limits
	contract *contract
	overflow atomic.Uint64

	nodeStatuses, checkStatuses []status
}

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector returns a Collector of sources.
func NewCollector(s Sources) *Collector {
	c := &Collector{sources: s, contract: newContract()}
	c.limits = limits{cmp.Or(s.MaxSeries, 20_000), cmp.Or(s.MaxMonitors, 10_000), cmp.Or(s.MaxReceivers, 1000)}
	nodes, checks := store.StatusNames()
	c.nodeStatuses, c.checkStatuses = newStatuses(nodes), newStatuses(checks)
	return c
}

// leaveOut counts the series of so many that have none of their own.
func (c *Collector) leaveOut(n, series int) { c.overflow.Add(uint64(max(0, n) * series)) }

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, f := range c.contract.all {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	c.collectFleet(out)
	c.collectMonitors(out)
	c.collectReceivers(out)
	c.collectEvents(out)
	c.collectStore(out)
	c.collectInstance(out)
	c.collectDoors(out)
	sink(out).add(c.contract.overflow, float64(c.overflow.Load()))
}
