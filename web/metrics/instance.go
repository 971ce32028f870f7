package metrics

import "runtime"

type instanceFamilies struct{ build, up, changed *family }

func newInstanceFamilies(c *contract) instanceFamilies {
	return instanceFamilies{
		build:   c.gauge("build_info", "The version of the program and of Go. The value is 1.", "version", "goversion"),
		up:      c.gauge("component_up", "1 while a component of the instance works, such as registry, broker or store, else 0.", "component"),
		changed: c.gauge("component_last_change_timestamp_seconds", "When a component last failed or recovered, in unix seconds.", "component"),
	}
}

// collectInstance adds the series of the instance.
func (c *Collector) collectInstance(out sink) {
	f := &c.contract.instance
	out.addStrings(f.build, 1, runtime.Version(), c.sources.Version)
	for _, component := range c.sources.Components() {
		name, up := newLabel("component", component.Name), 0.0
		if component.OK {
			up = 1
		}
		out.add(f.up, up, name)
		out.add(f.changed, float64(component.Since.UnixMilli())/1000, name)
	}
}
