package store

import (
	"context"
	"fmt"
	"math"
	"sort"
	"sync"
)

// ring holds the newest transitions. It has its own lock, so that reading the history
// does not block events.
type ring struct {
	mu      sync.RWMutex
	records []record // at most size; the n-th since the store was made is at n % size
	size    int
	end     int    // records so far, restored ones included
	added   uint64 // of these, not restored
	last    int64  // seq of the newest one; before it, the seq that its own follows
	began   int64  // up to here are those of former runs

	// changed is closed at the next transition; nil without waiters.
	changed chan struct{}
}

// maxScan bounds how many records are read without releasing the lock.
const maxScan = 2048

func (r *ring) init(size int, seq int64) {
	r.size = size
	r.last, r.began = seq, seq
}

func (r *ring) add(rec record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	r.added++
	r.push(rec, r.last)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

func (r *ring) push(rec record, seq int64) {
	rec.seq = seq
	if len(r.records) < r.size {
		r.records = append(r.records, rec)
	} else {
		*r.at(r.end) = rec
	}
	r.end++
}

func (r *ring) at(n int) *record { return &r.records[n%r.size] }

// start returns the number of the oldest retained record.
func (r *ring) start() int { return r.end - len(r.records) }

// from returns the number of the first retained record with seq or a later one.
func (r *ring) from(seq int64) int {
	start := r.start()
	return start + sort.Search(len(r.records), func(i int) bool { return r.at(start+i).seq >= seq })
}

// oldest returns the seq of the oldest retained transition, that of the next one if there
// is none.
func (r *ring) oldest() int64 {
	if len(r.records) == 0 {
		return r.last + 1
	}
	return r.at(r.start()).seq
}

// recorded returns how many transitions were recorded in this run.
func (r *ring) recorded() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.added
}

// before returns the transitions before seq that q selects, or all if seq is not
// positive, newest first; whether there are more than limit of them; and the seq of the
// oldest retained transition.
func (r *ring) before(q *TransitionQuery, seq int64, limit int) (ts []Transition, more bool, oldest int64) {
	if seq <= 0 {
		seq = math.MaxInt64
	}
	for {
		r.mu.RLock()
		oldest = r.oldest()
		n := r.from(seq)
		for stop := max(n-maxScan, r.start()); n > stop && !more; n-- {
			rec := r.at(n - 1)
			if seq = rec.seq; !q.selects(rec) {
				continue
			} else if more = len(ts) == limit; !more {
				ts = append(ts, rec.transition())
			}
		}
		done := more || n == r.start()
		r.mu.RUnlock()
		if done {
			return ts, more, oldest
		}
	}
}

// after returns the transitions after since that q selects, or all if since is zero,
// oldest first; the seq to continue from; and whether some may be lost, because they were
// overwritten or since is of another run of the service.
func (r *ring) after(q *TransitionQuery, since int64, limit int) (ts []Transition, next int64, gap bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := r.start()
	if since != 0 {
		n, gap = r.following(since)
	}
	for n < r.end && len(ts) < limit {
		for stop := min(n+maxScan, r.end); n < stop && len(ts) < limit; n++ {
			rec := r.at(n)
			if next = rec.seq; q.selects(rec) {
				ts = append(ts, rec.transition())
			}
		}
		r.mu.RUnlock() // let writers in
		r.mu.RLock()
		if start := r.start(); n < start {
			n, gap = start, true
		}
	}
	if n == r.end {
		next = r.last
	}
	return ts, next, gap
}

// following returns the number of the first retained record after since, and whether some
// between them may be lost.
func (r *ring) following(since int64) (n int, gap bool) {
	if since > r.last {
		return r.start(), true
	}
	return r.from(since + 1), since < r.began || since+1 < r.oldest()
}

// wait returns when there is a transition after since, or any if since is zero. It
// returns immediately if since is of another run of the service.
func (r *ring) wait(ctx context.Context, since int64) error {
	for {
		changed := r.watch(since)
		if changed == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for a transition after %d: %w", since, ctx.Err())
		case <-changed:
		}
	}
}

// watch returns nil if there is a transition after since, or a channel that is closed at
// the next one.
func (r *ring) watch(since int64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if since != r.last && (since != 0 || r.end > 0) {
		return nil
	}
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}
