package ingest

import (
	"sync"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

// class is how much an event matters when not all can be kept.
type category uint8

const (
	categoryStatus  category = iota // statuses of nodes
	categoryFailing                 // checks that are not well
	categoryCheck                   // the other checks
	categoryStats
	categories
)

// String returns the name of the class in counters.
func (c category) String() string {
	return [...]string{"status", "failing", "check", "stats"}[c]
}

// lane returns in which list of the queue the class waits; the higher, the less
// it matters. Statuses and failing checks matter alike.
func (c category) priority() int { return [...]int{0, 0, 1, 2}[c] }

const (
	priorities     = 3
	lowestPriority = 2
)

func categoryOf(e *store.Event) category {
	switch e.Kind {
	case store.KindStatus:
		return categoryStatus
	case store.KindStats:
		return categoryStats
	}
	switch healthpb.HealthCheck_Status(e.Status) {
	case healthpb.HealthCheck_ERROR, healthpb.HealthCheck_WARNING:
		return categoryFailing
	}
	return categoryCheck
}

// queue holds events until the store takes them. It is bounded by number and by
// bytes; when it is full the oldest of what matters least goes, so that a failing
// check outlives any number of checks that are well, and those any stats.
//
// Checks and statuses leave in the order in which they came, whatever their
// class, because of two events of the same second the later one counts. Stats
// have no such ties with them and leave when nothing else waits.
type queue struct {
	maxCount, maxBytes int
	// wake holds a token while something may wait.
	wake chan struct{}

	mu      sync.Mutex
	lists   [priorities]list // guarded by mu, as is all below
	count   int
	bytes   int
	seq     uint64
	closed  bool
	dropped [categories]uint64
	// since is when dropping began and last when it last happened.
	since, last time.Time
}

func newQueue(maxCount, maxBytes int) *queue {
	return &queue{maxCount: maxCount, maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

// dropPause ends a time of dropping: so long without a drop.
const dropWindow = 10 * time.Second

// push puts an item in, and returns what had to go for it: items that matter
// less or as much and are older, or else the item itself.
func (q *queue) push(it *item) (dropped list) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lane := it.category.priority()
	for q.closed || q.count >= q.maxCount || q.bytes+it.size() > q.maxBytes {
		victim := q.victimLocked(lane)
		if victim == nil {
			q.dropLocked(it, &dropped)
			return dropped
		}
		q.dropLocked(victim, &dropped)
	}
	q.seq++
	it.seq = q.seq
	q.lists[lane].push(it)
	q.count++
	q.bytes += it.size()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return dropped
}

// victimLocked takes out the oldest item of the lane that matters least, if it does
// not matter more than the given one.
func (q *queue) victimLocked(lane int) *item {
	if q.closed {
		return nil
	}
	for i := priorities - 1; i >= lane; i-- {
		if it := q.popLocked(i); it != nil {
			return it
		}
	}
	return nil
}

func (q *queue) dropLocked(it *item, dropped *list) {
	q.dropped[it.category]++
	now := time.Now()
	if now.Sub(q.last) > dropWindow {
		q.since = now
	}
	q.last = now
	dropped.push(it)
}

func (q *queue) popLocked(lane int) *item {
	it := q.lists[lane].pop()
	if it != nil {
		q.count--
		q.bytes -= it.size()
	}
	return it
}

// A batch is taken at once, so that the lock is taken once for many events. Its
// bytes are out of the queue's bound and therefore have their own.
const (
	batchCount = 256
	batchBytes = 1 << 20
)

// take fills batch with the next items as far as it has room, with at least one
// if there is one.
func (q *queue) take(batch []*item) []*item {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch = batch[:0]
	for bytes := 0; len(batch) < cap(batch) && bytes < batchBytes; {
		it := q.popLocked(q.nextPriorityLocked())
		if it == nil {
			break
		}
		bytes += it.size()
		batch = append(batch, it)
	}
	return batch
}

func (q *queue) nextPriorityLocked() int {
	a, b := q.lists[0].head, q.lists[1].head
	switch {
	case a == nil && b == nil:
		return lowestPriority
	case b == nil || (a != nil && a.seq < b.seq):
		return 0
	}
	return 1
}

// close makes every later push a drop.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// discard drops all that waits, and returns it.
func (q *queue) discard() (dropped list) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lists {
		for it := q.popLocked(i); it != nil; it = q.popLocked(i) {
			q.dropLocked(it, &dropped)
		}
	}
	return dropped
}

// state returns how full the queue is, and since when it has been dropping.
func (q *queue) state() (count, bytes int, since time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if time.Since(q.last) <= dropWindow {
		since = q.since
	}
	return q.count, q.bytes, since
}

func (q *queue) drops() [categories]uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
