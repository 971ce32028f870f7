package metrics

import (
	"cmp"
	"strconv"
	"time"

	"github.com/microhq/monitor-srv/connlimit"
	"github.com/microhq/monitor-srv/web"
)

// Port is one that the instance listens on.
type Port struct {
	Name        string
	Connections connlimit.State
}

// RPC counts the requests of the RPC port since the start.
type RPC struct {
	// Requests counts all, Refused those that reached no handler, by reason.
	Requests uint64
	Refused  map[string]uint64
	InFlight int64
	// Panics of handlers, calls that exceeded their timeout, and calls whose handler ended
	// without an answer.
	Panics, Expired, Unanswered uint64
	// Calls are those that reached a handler: the path is the method, the status its code.
	Calls []web.Requests
}

type doorFamilies struct {
	connections, most, refused, displaced, malformed *family

	requests, requestsRefused, inFlight, panics, expired, unanswered, calls, callDuration *family

	http, httpDuration *family
}

func newDoorFamilies(c *contract) doorFamilies {
	return doorFamilies{
		connections: c.gauge("connections", "Open connections of a port: RPC, HTTP, broker.", "port"),
		most:        c.gauge("connections_max", "Connections that a port may have.", "port"),
		refused:     c.counter("connections_refused_total", "Connections closed at once, because all others were being served.", "port"),
		displaced:   c.counter("connections_displaced_total", "Idle connections closed to make room for new ones.", "port"),
		malformed:   c.counter("connections_malformed_total", "Connections closed because the header of a request was malformed, too long or too slow.", "port"),

		requests:        c.counter("rpc_requests_total", "Requests of the RPC port, including refused ones."),
		requestsRefused: c.counter("rpc_requests_refused_total", "Requests of the RPC port that reached no method: body (too large, slow or incomplete), other.", "reason"),
		inFlight:        c.gauge("rpc_requests_in_flight", "Requests of the RPC port being read or answered."),
		panics:          c.counter("rpc_panics_total", "Panics of RPC methods."),
		expired:         c.counter("rpc_expired_total", "Calls that exceeded their timeout."),
		unanswered:      c.counter("rpc_unanswered_total", "Calls whose method ended without an answer."),
		calls:           c.counter("rpc_calls_total", "Calls of RPC methods, by code: 200, or that of the error.", "method", "code"),
		callDuration:    c.summary("rpc_call_duration_seconds", "Duration of calls of RPC methods.", "method"),

		http:         c.counter("http_requests_total", "Requests of the HTTP port, by route (other: none) and status.", "path", "code"),
		httpDuration: c.summary("http_request_duration_seconds", "Duration of requests of the HTTP port.", "path"),
	}
}

// collectDoors adds the series of the ports.
func (c *Collector) collectDoors(out sink) {
	f := &c.contract.doors
	for _, p := range c.sources.Ports() {
		port, s := newLabel("port", p.Name), p.Connections
		out.add(f.connections, float64(s.Held), port)
		out.add(f.most, float64(s.Max), port)
		out.add(f.refused, float64(s.Refused), port)
		out.add(f.displaced, float64(s.Taken), port)
		out.add(f.malformed, float64(s.Broken), port)
	}
	rpc := c.sources.RPC()
	out.add(f.requests, float64(rpc.Requests))
	for reason, n := range rpc.Refused {
		out.addStrings(f.requestsRefused, float64(n), reason)
	}
	out.add(f.inFlight, float64(rpc.InFlight))
	out.add(f.panics, float64(rpc.Panics))
	out.add(f.expired, float64(rpc.Expired))
	out.add(f.unanswered, float64(rpc.Unanswered))
	addRequests(out, f.calls, f.callDuration, rpc.Calls)
	addRequests(out, f.http, f.httpDuration, c.sources.Requests())
}

// addRequests adds the counts of requests by status, and their durations.
func addRequests(out sink, counts, durations *family, all []web.Requests) {
	type sum struct {
		count uint64
		took  time.Duration
	}
	sums := make(map[string]sum)
	for _, r := range all {
		path := cmp.Or(r.Path, other)
		out.addStrings(counts, float64(r.Count), strconv.Itoa(r.Status), path)
		sums[path] = sum{sums[path].count + r.Count, sums[path].took + r.Took}
	}
	for path, s := range sums {
		out <- summary(durations, s.count, s.took, path)
	}
}
