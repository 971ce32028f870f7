package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// StatsSource knows the stats that services published.
type StatsSource interface {
	// Stats returns the newest stats of each node of the service. A service that
	// published none has none, and that is no error.
	Stats(ctx context.Context, service string) ([]NodeStats, error)
}

// NodeStats are the newest stats of one node.
type NodeStats struct {
	Node string
	// Age is the time since they arrived.
	Age time.Duration
	// Silent is set if the next ones are overdue.
	Silent bool
	// MaxRSS and so on are as in the messages on the bus; times are in
	// nanoseconds, sizes as the publisher gives them.
	MaxRSS, InBlock, OuBlock                           uint64
	NumThreads, HeapTotal, HeapInUse                   uint64
	UserTime, SystemTime, VolCtxSwitches, InvCtxSwitch uint64
	Endpoints                                          []EndpointStats
}

// EndpointStats tell how the requests of one method did since the last report.
type EndpointStats struct {
	Method                   string
	Success, Errors, Dropped RequestStats
}

// RequestStats summarise the durations of a number of requests, in nanoseconds.
type RequestStats struct {
	Count                 int64
	Mean, StdDev, Upper95 float64
}

// statsConfig holds the keys of the kind stats.
type statsConfig struct {
	// Service names the publisher.
	Service string `toml:"service"`
	// Endpoint is the method that metrics of requests are taken of; all methods
	// if empty.
	Endpoint string `toml:"endpoint"`
	// Metric is what becomes the value. Durations are in seconds.
	Metric string `toml:"metric"`
}

type statsProbe struct {
	config statsConfig
	stats  StatsSource
	metric metric
}

// metric computes one value from the stats of all nodes that report.
type metric struct {
	// requests is set if it is about endpoints.
	requests bool
	of       func(nodes []NodeStats, endpoints []EndpointStats) float64
}

// statsMetrics returns the metrics by name. Counts are summed over nodes and
// endpoints; of figures that cannot be summed it is the highest.
func statsMetrics() map[string]metric {
	total := func(count func(EndpointStats) int64) metric {
		return metric{true, func(_ []NodeStats, all []EndpointStats) float64 {
			var n int64
			for _, e := range all {
				n += count(e)
			}
			return float64(n)
		}}
	}
	highest := func(nanoseconds func(RequestStats) float64) metric {
		return metric{true, func(_ []NodeStats, all []EndpointStats) float64 {
			top := 0.0
			for _, e := range all {
				top = max(top, nanoseconds(e.Success), nanoseconds(e.Errors))
			}
			return top / float64(time.Second)
		}}
	}
	node := func(figure func(NodeStats) uint64, unit float64) metric {
		return metric{false, func(nodes []NodeStats, _ []EndpointStats) float64 {
			var top uint64
			for _, n := range nodes {
				top = max(top, figure(n))
			}
			return float64(top) * unit
		}}
	}
	return map[string]metric{
		"count":          total(func(e EndpointStats) int64 { return e.Success.Count + e.Errors.Count }),
		"errors":         total(func(e EndpointStats) int64 { return e.Errors.Count }),
		"dropped":        total(func(e EndpointStats) int64 { return e.Dropped.Count }),
		"error_ratio":    {true, errorRatio},
		"mean":           highest(func(s RequestStats) float64 { return s.Mean }),
		"std_dev":        highest(func(s RequestStats) float64 { return s.StdDev }),
		"upper95":        highest(func(s RequestStats) float64 { return s.Upper95 }),
		"max_rss":        node(func(n NodeStats) uint64 { return n.MaxRSS }, 1),
		"in_block":       node(func(n NodeStats) uint64 { return n.InBlock }, 1),
		"ou_block":       node(func(n NodeStats) uint64 { return n.OuBlock }, 1),
		"num_threads":    node(func(n NodeStats) uint64 { return n.NumThreads }, 1),
		"heap_total":     node(func(n NodeStats) uint64 { return n.HeapTotal }, 1),
		"heap_in_use":    node(func(n NodeStats) uint64 { return n.HeapInUse }, 1),
		"user_time":      node(func(n NodeStats) uint64 { return n.UserTime }, 1e-9),
		"system_time":    node(func(n NodeStats) uint64 { return n.SystemTime }, 1e-9),
		"vol_ctx_switch": node(func(n NodeStats) uint64 { return n.VolCtxSwitches }, 1),
		"inv_ctx_switch": node(func(n NodeStats) uint64 { return n.InvCtxSwitch }, 1),
	}
}

// errorRatio is the part of the requests that failed, 0 if there were none.
func errorRatio(_ []NodeStats, all []EndpointStats) float64 {
	var bad, total int64
	for _, e := range all {
		bad += e.Errors.Count
		total += e.Success.Count + e.Errors.Count
	}
	if total == 0 {
		return 0
	}
	return float64(bad) / float64(total)
}

func newStats(decode func(any) error, env Env) (Probe, error) {
	var c statsConfig
	if err := decode(&c); err != nil {
		return nil, err
	}
	if err := env.localOnly(); err != nil {
		return nil, err
	}
	if err := required("service", c.Service); err != nil {
		return nil, err
	}
	if err := required("metric", c.Metric); err != nil {
		return nil, err
	}
	metrics := statsMetrics()
	m, ok := metrics[c.Metric]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(metrics)), ", ")
		return nil, fmt.Errorf("metric: %q is unknown; known are %s", printable(c.Metric), known)
	}
	if c.Endpoint != "" && !m.requests {
		return nil, fmt.Errorf("endpoint: the metric %s is one of nodes", c.Metric)
	}
	if env.Stats == nil {
		return nil, errors.New("published stats are not available here")
	}
	return &statsProbe{config: c, stats: env.Stats, metric: m}, nil
}

// Probe computes the metric from the newest stats. Silence is a failure.
func (p *statsProbe) Probe(ctx context.Context) (Result, error) {
	nodes, err := p.stats.Stats(ctx, p.config.Service)
	if err == nil {
		nodes, err = reporting(nodes)
	}
	var endpoints []EndpointStats
	if err == nil {
		endpoints, err = p.endpoints(nodes)
	}
	if err != nil {
		return Result{Value: failedValue}, fmt.Errorf("%s of %s: %w", p.config.Metric, p.config.Service, ended(ctx, err))
	}
	v := p.metric.of(nodes, endpoints)
	return Result{Value: v, Detail: fmt.Sprintf("%s %v, of %d nodes", p.config.Metric, v, len(nodes))}, nil
}

// reporting returns the stats that are not overdue, or an error if all are.
func reporting(all []NodeStats) ([]NodeStats, error) {
	if len(all) == 0 {
		return nil, errors.New("never published")
	}
	var fresh []NodeStats
	youngest := all[0].Age
	for _, n := range all {
		youngest = min(youngest, n.Age)
		if !n.Silent {
			fresh = append(fresh, n)
		}
	}
	if len(fresh) == 0 {
		return nil, fmt.Errorf("silent for %v", youngest.Round(time.Second))
	}
	return fresh, nil
}

// endpoints returns those of all nodes that the metric is about. Methods without
// a request are published or not as the publisher likes, so that none matches is
// no error if any was published.
func (p *statsProbe) endpoints(nodes []NodeStats) ([]EndpointStats, error) {
	if !p.metric.requests {
		return nil, nil
	}
	var list []EndpointStats
	for _, n := range nodes {
		for _, e := range n.Endpoints {
			if p.config.Endpoint == "" || e.Method == p.config.Endpoint {
				list = append(list, e)
			}
		}
	}
	return list, nil
}

// Close does nothing: what was published belongs to others.
func (p *statsProbe) Close() error { return nil }
