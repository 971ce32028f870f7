// Package metrics answers /metrics and /probe in the formats of Prometheus.
//
// A Collector reads the store, the monitors, the receivers and the counters of the
// instance at each scrape; nothing is held in between. The names, types and labels of its
// metrics are a contract: they are in newContract and in docs/reference/metrics.md, and a
// test compares both.
//
// Whatever the fleet publishes, a scrape has a bounded number of series. Beyond the limits
// of Sources, services are summed under the label value "other", and monitors and receivers
// have no series of their own.
package metrics
