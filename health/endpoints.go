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

// outcome tells which figures of an endpoint a request belongs to.
type outcome uint8

const (
	succeeded outcome = iota
	failed
	dropped
	outcomes
)

// maxShards bounds the memory of an endpoint: a shard takes 1.8 KiB for each
// outcome it has seen.
const maxShards = 8

// maxEndpointName bounds the names of a service and of a method, so that Stats
// with MaxEndpoints of them stay below MaxEventSize.
const maxEndpointName = 128

type endpointKey struct {
	side            healthpb.Endpoint_Side
	service, method string
}

// endpointTable counts requests by endpoint. record takes no lock that another
// core holds, and allocates only for an endpoint it has not seen.
type endpointTable struct {
	shards int
	// hints hands a number to each processor (P) of the runtime: sync.Pool keeps
	// what was put on a P for that P.
	hints  sync.Pool
	tokens []int
	issued atomic.Uint32

	known  atomic.Pointer[map[endpointKey]*endpoint]
	others [2]*endpoint // what there is no room for, by side

	mu sync.Mutex // serialises additions to known
}

// maxNamed leaves room for one other endpoint on each side.
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
	if len(known) >= maxNamed || !nameable(key.service) || !nameable(key.method) {
		return t.others[key.side]
	}
	return t.add(key)
}

// nameable tells if protobuf and the monitoring service take the name.
func nameable(name string) bool {
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

// collect returns what was recorded since the last call, ordered by side,
// service and method, without endpoints that had no request.
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

// endpoint counts the requests of one method. Each core has a shard for itself
// as a rule, so that locking it costs no more than an addition.
type endpoint struct{ shards []shard }

type shard struct {
	mu     sync.Mutex // guards series
	series [outcomes]*series
	_      [96]byte // a shard to itself on its cache lines
}

func newEndpoint(shards int) *endpoint { return &endpoint{make([]shard, shards)} }

// record takes the shard at hint or, if that is held, the next one that is free.
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

// collect empties the endpoint, and returns nil if it was empty.
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
