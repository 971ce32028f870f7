package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// StatsSource provides the stats that services published.
type StatsSource interface {
	Listener
	// Stats returns the latest stats of each node of the service, also of stopped ones.
	// A service that published none has none; that is not an error.
	Stats(ctx context.Context, service string) ([]NodeStats, error)
}

// NodeStats are the latest stats of one node.
type NodeStats struct {
	Node string
	// Age is the time since they were received.
	Age time.Duration
	// Stale is set if the next ones are overdue.
	Stale bool
	// Stopped is set if the node has been stopped on purpose since.
	Stopped bool
	// MaxRSS and the following fields are those of the message on the bus. Times are
	// in nanoseconds, sizes in the unit of the publisher.
	MaxRSS, InBlock, OuBlock                           uint64
	NumThreads, HeapTotal, HeapInUse                   uint64
	UserTime, SystemTime, VolCtxSwitches, InvCtxSwitch uint64
	Endpoints                                          []EndpointStats
}

// EndpointStats are the request statistics of one method since the last report.
type EndpointStats struct {
	Method                   string
	Success, Errors, Dropped RequestStats
}

// RequestStats summarize the durations of requests, in nanoseconds.
type RequestStats struct {
	Count                 int64
	Mean, StdDev, Upper95 float64
}

// statsConfig holds the keys of the kind stats.
type statsConfig struct {
	// Service names the publisher.
	Service string `toml:"service"`
	// Endpoint is the method whose requests are measured; empty for all methods.
	Endpoint string `toml:"endpoint"`
	// Metric is the name of the measured value. Durations are in seconds.
	Metric string `toml:"metric"`
	// StoppedIsFailure makes it a failure that all nodes were stopped on purpose.
	StoppedIsFailure bool `toml:"stopped_is_failure"`
}

type statsProbe struct {
	config statsConfig
	stats  StatsSource
	metric metric
	end    func() // of the watch
}

// metric computes one value from the stats of all nodes.
type metric struct {
	// requests is set if the metric uses the stats of endpoints.
	requests bool
	of       func(nodes []NodeStats, endpoints []EndpointStats) float64
}

// statsMetrics returns the metrics by name. Counts are summed over nodes and
// endpoints; of other figures the highest is taken.
func statsMetrics() map[string]metric {
	total := func(count func(EndpointStats) float64) metric {
		return metric{true, func(_ []NodeStats, all []EndpointStats) float64 {
			n := 0.0 // whole numbers would overflow at what publishers may send
			for _, e := range all {
				n += count(e)
			}
			return n
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
		"count":          total(requests),
		"errors":         total(func(e EndpointStats) float64 { return float64(e.Errors.Count) }),
		"dropped":        total(func(e EndpointStats) float64 { return float64(e.Dropped.Count) }),
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

// requests returns how many requests a method was sent.
func requests(e EndpointStats) float64 { return float64(e.Success.Count) + float64(e.Errors.Count) }

// errorRatio returns the ratio of failed requests, 0 if there were none.
func errorRatio(_ []NodeStats, all []EndpointStats) float64 {
	var bad, total float64
	for _, e := range all {
		bad += float64(e.Errors.Count)
		total += requests(e)
	}
	if total == 0 {
		return 0
	}
	return bad / total
}

func newStats(decode func(any) error, env Env) (Probe, error) {
	var c statsConfig
	if err := decode(&c); err != nil {
		return nil, err
	}
	metrics := statsMetrics()
	known := checkOneOf("metric", c.Metric, slices.Sorted(maps.Keys(metrics))...)
	if err := cmp.Or(env.localOnly(), required("service", c.Service), required("metric", c.Metric), known); err != nil {
		return nil, err
	}
	m := metrics[c.Metric]
	if c.Endpoint != "" && !m.requests {
		return nil, fmt.Errorf("endpoint: the metric %s is one of nodes", c.Metric)
	}
	if env.Stats == nil {
		return nil, errors.New("published stats are not available here")
	}
	return &statsProbe{config: c, stats: env.Stats, metric: m, end: env.Stats.Watch(c.Service)}, nil
}

// Probe computes the metric from the latest stats. It fails if all are stale. Those of
// nodes that were stopped on purpose do not count.
func (p *statsProbe) Probe(ctx context.Context) (Result, error) {
	nodes, err := p.stats.Stats(ctx, p.config.Service)
	if err == nil {
		nodes, err = reporting(nodes)
	}
	if r, ok := withoutReport(p.stats, err, p.config.StoppedIsFailure); ok {
		return r, nil
	}
	var endpoints []EndpointStats
	if err == nil {
		endpoints, err = p.endpoints(nodes)
	}
	if err != nil {
		return Result{Value: failedValue}, fmt.Errorf("%s of %s: %w", p.config.Metric, p.config.Service, withCause(ctx, err))
	}
	v := p.metric.of(nodes, endpoints)
	return Result{Value: v, Detail: fmt.Sprintf("%s %v, of %d nodes", p.config.Metric, v, len(nodes))}, nil
}

// reporting returns the stats that are neither stale nor of nodes that were stopped on
// purpose, or an error if there are none.
func reporting(all []NodeStats) ([]NodeStats, error) {
	all, err := withoutStopped(all, func(n NodeStats) bool { return n.Stopped })
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errNeverPublished
	}
	var fresh []NodeStats
	youngest := all[0].Age
	for _, n := range all {
		youngest = min(youngest, n.Age)
		if !n.Stale {
			fresh = append(fresh, n)
		}
	}
	if len(fresh) == 0 {
		return nil, fmt.Errorf("no report for %v", youngest.Round(time.Second))
	}
	return fresh, nil
}

// endpoints returns the endpoints that the metric uses. Some publishers leave out
// methods without requests, so it is not an error if none matches.
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

// Close ends the watch.
func (p *statsProbe) Close() error {
	p.end()
	return nil
}
