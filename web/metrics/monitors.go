package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/microhq/monitor-srv/clock"
	"github.com/microhq/monitor-srv/monitor"
)

type monitorFamilies struct {
	states, probing, probes, failures, missed, lateness *family

	info, state, value, duration, late, ofProbes, ofFailures, ofMissed *family
}

func newMonitorFamilies(c *contract) monitorFamilies {
	return monitorFamilies{
		states:   c.gauge("monitors", "Monitors by state.", "state"),
		probing:  c.gauge("probes_in_flight", "Probes that run."),
		probes:   c.counter("probes_total", "Probes of all monitors."),
		failures: c.counter("probe_failures_total", "Failed probes of all monitors."),
		missed:   c.counter("probes_missed_total", "Probes of all monitors that were skipped: one took longer than the interval, the limit of its kind was reached, or the process was overloaded."),
		lateness: c.histogram("probe_lateness_seconds", "Delays of probes after they were due."),

		info:       c.gauge("monitor_info", "The kind of probe of a monitor. The value is 1.", "monitor", "probe"),
		state:      c.gauge("monitor_state", "State of a monitor: 0 unknown, 1 OK, 2 warning, 3 failing, 4 stopped.", "monitor"),
		value:      c.gauge("monitor_value", "Last filtered value of a monitor.", "monitor"),
		duration:   c.gauge("monitor_duration_seconds", "Duration of the last probe of a monitor.", "monitor"),
		late:       c.gauge("monitor_lateness_seconds", "Delay of the last probe of a monitor after it was due.", "monitor"),
		ofProbes:   c.counter("monitor_probes_total", "Probes of a monitor.", "monitor"),
		ofFailures: c.counter("monitor_failures_total", "Failed probes of a monitor.", "monitor"),
		ofMissed:   c.counter("monitor_missed_total", "Probes of a monitor that were skipped.", "monitor"),
	}
}

// seriesOfMonitor is how many series a monitor has.
const seriesOfMonitor = 8

// collectMonitors adds the series of monitors.
func (c *Collector) collectMonitors(out sink) {
	f, group := &c.contract.monitors, c.sources.Group
	counters := group.Counters()
	out.add(f.probing, float64(counters.Probing))
	out.add(f.probes, float64(counters.Probes))
	out.add(f.failures, float64(counters.Failures))
	out.add(f.missed, float64(counters.Missed))
	out <- histogram(f.lateness, counters.Lateness, nil)
	var states [monitor.Stopped + 1]int
	all := group.List(monitor.Filter{})
	for i := range all {
		states[all[i].State]++
		if i < c.limits.monitors {
			c.addMonitor(out, &all[i])
		}
	}
	for state, n := range states {
		out.addStrings(f.states, float64(n), monitor.State(state).String())
	}
	c.leaveOut(len(all)-c.limits.monitors, seriesOfMonitor)
}

// addMonitor adds the series of one monitor, as far as it was probed.
func (c *Collector) addMonitor(out sink, i *monitor.Info) {
	f, name := &c.contract.monitors, newLabel("monitor", i.Name)
	out.add(f.info, 1, name, newLabel("probe", i.Probe))
	out.add(f.state, float64(i.State), name)
	if !i.LastProbe.IsZero() {
		out.add(f.value, i.Value, name)
	}
	if i.Took > 0 { // zero until the first probe after a start
		out.add(f.duration, i.Took.Seconds(), name)
		out.add(f.late, i.Late.Seconds(), name)
	}
	out.add(f.ofProbes, float64(i.Probes), name)
	out.add(f.ofFailures, float64(i.Failures), name)
	out.add(f.ofMissed, float64(i.Missed), name)
}

// histogram returns a series of a histogram.
func histogram(f *family, h clock.Histogram, exemplars []prometheus.Exemplar, values ...string) prometheus.Metric {
	below, count := make(map[float64]uint64, len(h.Bounds)), uint64(0)
	for i, bound := range h.Bounds {
		count += h.Counts[i]
		below[bound.Seconds()] = count
	}
	count += h.Counts[len(h.Bounds)]
	for i := range values {
		values[i] = newLabel(f.labels[i], values[i]).GetValue()
	}
	m, err := prometheus.NewConstHistogram(f.desc, count, h.Sum.Seconds(), below, values...)
	if err != nil {
		return prometheus.NewInvalidMetric(f.desc, err)
	}
	if len(exemplars) == 0 {
		return m
	}
	with, err := prometheus.NewMetricWithExemplars(m, exemplars...)
	if err != nil {
		return m // somebody else's incident id that is too long
	}
	return with
}

// summary returns a series of a summary without quantiles.
func summary(f *family, count uint64, sum time.Duration, values ...string) prometheus.Metric {
	m, err := prometheus.NewConstSummary(f.desc, count, sum.Seconds(), nil, values...)
	if err != nil {
		return prometheus.NewInvalidMetric(f.desc, err)
	}
	return m
}
