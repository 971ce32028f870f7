package ingest

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/wire"
)

// maxEndpointName bounds the service and the method of an endpoint, each.
const maxEndpointName = 256

// endpoint is an Endpoint. Its metrics are those for errors, success and dropped,
// in the order of their numbers.
type endpoint struct {
	service, method []byte
	metrics         [3]metrics
	side            healthpb.Endpoint_Side
}

// repairEndpoint reads a well-formed Endpoint and repairs it.
func (d *decoder) repairEndpoint(msg []byte) (p endpoint) {
	var f wire.Field
	for f.Next(&msg) {
		switch f.Tag {
		case wire.EndpointService<<3 | wire.Bytes:
			p.service = f.Bytes
		case wire.EndpointMethod<<3 | wire.Bytes:
			p.method = f.Bytes
		case wire.EndpointErrors<<3 | wire.Bytes, wire.EndpointSuccess<<3 | wire.Bytes, wire.EndpointDropped<<3 | wire.Bytes:
			p.metrics[f.Tag>>3-wire.EndpointErrors].read(f.Bytes)
		case wire.EndpointSide<<3 | wire.Varint:
			p.side = d.repairSide(f.Value)
		}
	}
	p.service = d.repairText(p.service, maxEndpointName)
	p.method = d.repairText(p.method, maxEndpointName)
	for i := range p.metrics {
		if p.metrics[i].zeroInvalid() {
			d.repairs.add(repairMetrics)
		}
	}
	return p
}

// add adds the metrics of q. It ignores the side of q.
func (p *endpoint) add(q endpoint) {
	for i := range p.metrics {
		p.metrics[i].add(q.metrics[i])
	}
}

// append appends p to the endpoints of a Stats.
func (p *endpoint) append(b []byte) []byte {
	return wire.AppendMessage(b, wire.StatsEndpoints, func(b []byte) []byte {
		if len(p.service) > 0 {
			b = wire.AppendBytes(b, wire.EndpointService, p.service)
		}
		if len(p.method) > 0 {
			b = wire.AppendBytes(b, wire.EndpointMethod, p.method)
		}
		for i, m := range p.metrics {
			if m != (metrics{}) {
				b = wire.AppendMessage(b, protowire.Number(wire.EndpointErrors+i), m.append)
			}
		}
		return wire.AppendUint(b, wire.EndpointSide, uint64(p.side))
	})
}

// metrics is a Metrics.
type metrics struct {
	count                 int64
	mean, stdDev, upper95 float64
}

func (m *metrics) read(msg []byte) {
	var f wire.Field
	for f.Next(&msg) {
		switch f.Tag {
		case wire.MetricsCount<<3 | wire.Varint:
			m.count = int64(f.Value)
		case wire.MetricsMean<<3 | wire.Fixed64:
			m.mean = math.Float64frombits(f.Value)
		case wire.MetricsStdDev<<3 | wire.Fixed64:
			m.stdDev = math.Float64frombits(f.Value)
		case wire.MetricsUpper95<<3 | wire.Fixed64:
			m.upper95 = math.Float64frombits(f.Value)
		}
	}
}

// zeroInvalid sets invalid values to zero, and reports whether there were any.
func (m *metrics) zeroInvalid() (bad bool) {
	if m.count < 0 {
		m.count, bad = 0, true
	}
	for _, v := range []*float64{&m.mean, &m.stdDev, &m.upper95} {
		if !isDuration(*v) {
			*v, bad = 0, true
		}
	}
	return bad
}

// add makes m the metrics of the requests of both. Mean and deviation are exact.
// upper95 is the larger of both, which at most 5 % of the requests exceed.
func (m *metrics) add(q metrics) {
	n, k := float64(m.count), float64(q.count)
	m.count += q.count
	if m.count < 0 {
		m.count = math.MaxInt64
	}
	m.upper95 = max(m.upper95, q.upper95)
	if n+k == 0 {
		return
	}
	gap := q.mean - m.mean
	mean := m.mean + gap*k/(n+k)
	variance := (n*m.stdDev*m.stdDev + k*q.stdDev*q.stdDev + gap*gap*n*k/(n+k)) / (n + k)
	m.mean, m.stdDev = mean, math.Sqrt(variance)
	m.zeroInvalid()
}

func (m metrics) append(b []byte) []byte {
	b = wire.AppendUint(b, wire.MetricsCount, uint64(m.count))
	for i, v := range [...]float64{m.mean, m.stdDev, m.upper95} {
		if v != 0 {
			b = protowire.AppendTag(b, protowire.Number(wire.MetricsMean+i), protowire.Fixed64Type)
			b = protowire.AppendFixed64(b, math.Float64bits(v))
		}
	}
	return b
}
