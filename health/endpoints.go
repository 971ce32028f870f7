package health

import (
	"cmp"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// outcome is what became of a request. Each outcome of an endpoint has its metrics.
type outcome uint8

const (
	succeeded outcome = iota
	failed
	dropped
	outcomes
)

// maxShards limits the memory of an endpoint: a shard takes 1.8 KiB for each outcome
// that it has counted.
const maxShards = 8

// maxEndpointName is the length of the name of a service or a method in bytes, so that
// Stats with MaxEndpoints of them stay below MaxEventSize.
const maxEndpointName = 128

type endpointKey struct {
	side            healthpb.Endpoint_Side
	service, method string
}

// endpointTable counts requests by endpoint. record rarely waits for another core, and
// allocates only for a new endpoint.
type endpointTable struct {
	shards int
	// hints gives a number to each processor (P) of the Go runtime: sync.Pool keeps
	// for a P what was put on it.
	hints  sync.Pool
	tokens []int
	issued atomic.Uint32

	known  atomic.Pointer[map[endpointKey]*endpoint]
	others [2]*endpoint // sums of the endpoints beyond MaxEndpoints, by side

	mu sync.Mutex // serializes additions to known
}

// maxNamed leaves room for OtherEndpoints on each side.
const maxNamed = MaxEndpoints - 2

func newEndpointTable() *endpointTable {
	t := &endpointTable{shards: min(runtime.GOMAXPROCS(0), maxShards)}
	t.tokens = make([]int, t.shards)
	for i := range t.tokens {
		t.tokens[i] = i
	}
	t.hints.New = func() any { return &t.tokens[int(t.issued.Add(1))%t.shards] }
	t.known.Store(&map[endpointKey]*endpoint{})
	for i := range t.others {
		t.others[i] = newEndpoint(t.shards)
	}
	return t
}

// record counts one request.
func (t *endpointTable) record(key endpointKey, o outcome, d time.Duration) {
	hint := t.hints.Get().(*int)
	shard := *hint
	t.hints.Put(hint)
	t.find(key).record(shard, o, int64(d))
}

func (t *endpointTable) find(key endpointKey) *endpoint {
	known := *t.known.Load()
	if e, ok := known[key]; ok {
		return e
	}
	if len(known) >= maxNamed || !validEndpointName(key.service) || !validEndpointName(key.method) {
		return t.others[key.side]
	}
	return t.add(key)
}

// validEndpointName reports whether protobuf and the monitoring service accept name.
func validEndpointName(name string) bool {
	return len(name) <= maxEndpointName && utf8.ValidString(name)
}

func (t *endpointTable) add(key endpointKey) *endpoint {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := *t.known.Load()
	if e, ok := known[key]; ok {
		return e
	}
	if len(known) >= maxNamed {
		return t.others[key.side]
	}
	// The names may be part of a larger buffer.
	key.service, key.method = strings.Clone(key.service), strings.Clone(key.method)
	e := newEndpoint(t.shards)
	more := maps.Clone(known)
	more[key] = e
	t.known.Store(&more)
	return e
}

// collect returns the endpoints that had requests since the last call, ordered by
// side, service and method.
func (t *endpointTable) collect() []*healthpb.Endpoint {
	var all []*healthpb.Endpoint
	take := func(key endpointKey, e *endpoint) {
		if pb := e.collect(); pb != nil {
			pb.Side, pb.Service, pb.Method = key.side, key.service, key.method
			all = append(all, pb)
		}
	}
	for key, e := range *t.known.Load() {
		take(key, e)
	}
	for side, e := range t.others {
		take(endpointKey{side: healthpb.Endpoint_Side(side), method: OtherEndpoints}, e)
	}
	slices.SortFunc(all, func(a, b *healthpb.Endpoint) int {
		return cmp.Or(
			cmp.Compare(a.GetSide(), b.GetSide()),
			cmp.Compare(a.GetService(), b.GetService()),
			cmp.Compare(a.GetMethod(), b.GetMethod()),
		)
	})
	return all
}

// endpoint counts the requests of one method. Usually each core has its own shard, so
// that its lock is free and cheap.
type endpoint struct{ shards []shard }

type shard struct {
	mu     sync.Mutex // guards series
	series [outcomes]*series
	_      [96]byte // so that no two shards share a cache line
}

func newEndpoint(shards int) *endpoint { return &endpoint{make([]shard, shards)} }

// record uses the shard at hint or, if that is locked, the next one that is not.
func (e *endpoint) record(hint int, o outcome, ns int64) {
	for i := range e.shards {
		s := &e.shards[(hint+i)%len(e.shards)]
		if s.mu.TryLock() {
			s.add(o, ns)
			s.mu.Unlock()
			return
		}
	}
	s := &e.shards[hint]
	s.mu.Lock()
	s.add(o, ns)
	s.mu.Unlock()
}

func (s *shard) add(o outcome, ns int64) {
	if s.series[o] == nil {
		s.series[o] = new(series)
	}
	s.series[o].add(ns)
}

// collect returns the counts and resets them. It returns nil if there are none.
func (e *endpoint) collect() *healthpb.Endpoint {
	var sums [outcomes]series
	for i := range e.shards {
		e.shards[i].drain(&sums)
	}
	if sums[succeeded].count+sums[failed].count+sums[dropped].count == 0 {
		return nil
	}
	return &healthpb.Endpoint{
		Success: sums[succeeded].metrics(),
		Errors:  sums[failed].metrics(),
		Dropped: sums[dropped].metrics(),
	}
}

func (s *shard) drain(into *[outcomes]series) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for o, from := range s.series {
		if from != nil && from.count > 0 {
			into[o].merge(from)
			*from = series{}
		}
	}
}
