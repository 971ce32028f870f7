package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// prefix begins the name of each metric but those of the Go runtime, the process and
// /probe.
const prefix = "micro_monitor_"

// contract are all metrics of a Collector.
type contract struct {
	all      []*family
	overflow *family

	fleet         fleetFamilies
	monitors      monitorFamilies
	notifications notificationFamilies
	events        eventFamilies
	store         storeFamilies
	instance      instanceFamilies
	doors         doorFamilies
}

func newContract() *contract {
	c := &contract{}
	c.overflow = c.counter("series_overflow_total", "Series that scrapes left out or summed under the label value other, because there were too many.")
	c.fleet = newFleetFamilies(c)
	c.monitors = newMonitorFamilies(c)
	c.notifications = newNotificationFamilies(c)
	c.events = newEventFamilies(c)
	c.store = newStoreFamilies(c)
	c.instance = newInstanceFamilies(c)
	c.doors = newDoorFamilies(c)
	return c
}

func (c *contract) gauge(name, help string, labels ...string) *family {
	return c.family(dto.MetricType_GAUGE, name, help, labels)
}

func (c *contract) counter(name, help string, labels ...string) *family {
	return c.family(dto.MetricType_COUNTER, name, help, labels)
}

func (c *contract) histogram(name, help string, labels ...string) *family {
	return c.family(dto.MetricType_HISTOGRAM, name, help, labels)
}

func (c *contract) summary(name, help string, labels ...string) *family {
	return c.family(dto.MetricType_SUMMARY, name, help, labels)
}

func (c *contract) family(kind dto.MetricType, name, help string, labels []string) *family {
	slices.Sort(labels)
	f := newFamily(kind, prefix+name, help, labels...)
	c.all = append(c.all, f)
	return f
}

func newFamily(kind dto.MetricType, name, help string, labels ...string) *family {
	return &family{name: name, kind: kind, labels: labels, desc: prometheus.NewDesc(name, help, labels, nil)}
}
