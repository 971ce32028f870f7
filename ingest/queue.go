package ingest

import (
	"sync"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

// category of an event, which decides what is dropped when the queue is full.
type category uint8

const (
	categoryStatus  category = iota // statuses of nodes
	categoryFailing                 // checks with ERROR or WARNING
	categoryCheck                   // other checks
	categoryStats
	categories
)

// String returns the name of the category in counters and log lines.
func (c category) String() string {
	return [...]string{"status", "failing", "check", "stats"}[c]
}

// priority returns the priority of the category, 0 being the highest. Statuses and
// failing checks have the same one.
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

// queue holds events until they are put in the store. It is bounded by number and
// by bytes. When it is full, it drops the oldest event of the lowest priority, so
// that no number of OK checks displaces a failing one, and no number of stats
// displaces a check.
//
// Checks and statuses leave in the order of arrival, whatever their priority, because
// of two events with the same timestamp the later one counts. Stats leave when nothing
// else is queued.
type queue struct {
	maxCount, maxBytes int
	// wake has a value while the queue may not be empty.
	wake chan struct{}

	mu      sync.Mutex
	lists   [priorities]list // guarded by mu, as is all below
	count   int
	bytes   int
	seq     uint64
	closed  bool
	dropped [categories]uint64
	// since is when dropping began, last when the last item was dropped.
	since, last time.Time
}

func newQueue(maxCount, maxBytes int) *queue {
	return &queue{maxCount: maxCount, maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

// dropWindow without a drop ends a period of dropping.
const dropWindow = 10 * time.Second

// push adds an item and returns the dropped ones: older items of the same or a lower
// priority, or else the item itself.
func (q *queue) push(it *item) (dropped list) {
	q.mu.Lock()
	defer q.mu.Unlock()
	priority := it.category.priority()
	for q.closed || q.count >= q.maxCount || q.bytes+it.size() > q.maxBytes {
		victim := q.victimLocked(priority)
		if victim == nil {
			q.dropLocked(it, &dropped)
			return dropped
		}
		q.dropLocked(victim, &dropped)
	}
	q.seq++
	it.seq = q.seq
	q.lists[priority].push(it)
	q.count++
	q.bytes += it.size()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return dropped
}

// victimLocked removes the oldest item of the lowest priority that is not higher than
// the given one. It returns nil if there is none.
func (q *queue) victimLocked(priority int) *item {
	if q.closed {
		return nil
	}
	for i := priorities - 1; i >= priority; i-- {
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

func (q *queue) popLocked(priority int) *item {
	it := q.lists[priority].pop()
	if it != nil {
		q.count--
		q.bytes -= it.size()
	}
	return it
}

// Batches save locking. The bytes of a batch are no longer in the queue's bound and
// have a bound of their own.
const (
	batchCount = 256
	batchBytes = 1 << 20
)

// take fills batch with the next items, up to its capacity and batchBytes, but with
// at least one if the queue is not empty.
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

// discard drops all items and returns them.
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

// state returns how full the queue is, and since when it has been dropping items.
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
