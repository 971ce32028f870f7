package store

import (
	"context"
	"fmt"
	"math"
	"sync"
)

// ring holds the newest transitions. It has its own lock, so that reading the history
// does not block events.
type ring struct {
	mu      sync.RWMutex
	records []record // the one of seq is at (seq-first) % cap
	first   int64    // seq of the first transition ever
	next    int64    // seq of the next one

	// changed is closed at the next transition; nil without waiters.
	changed chan struct{}
}

// maxScan bounds how many records are read without releasing the lock.
const maxScan = 2048

func (r *ring) init(size int, seq int64) {
	r.records = make([]record, 0, size)
	r.first, r.next = seq, seq
}

func (r *ring) add(rec record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.records) < cap(r.records) {
		r.records = append(r.records, rec)
	} else {
		*r.at(r.next) = rec
	}
	r.next++
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

func (r *ring) at(seq int64) *record {
	return &r.records[(seq-r.first)%int64(cap(r.records))]
}

// oldest returns the seq of the oldest retained transition, next if there is none.
func (r *ring) oldest() int64 { return r.next - int64(len(r.records)) }

// recorded returns how many transitions were recorded.
func (r *ring) recorded() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return uint64(r.next - r.first)
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
		seq = min(seq, r.next)
		for stop := max(seq-maxScan, oldest); seq > stop && !more; seq-- {
			if rec := r.at(seq - 1); !q.selects(rec) {
				continue
			} else if more = len(ts) == limit; !more {
				ts = append(ts, rec.transition(seq-1))
			}
		}
		r.mu.RUnlock()
		if more || seq <= oldest {
			return ts, more, oldest
		}
	}
}

// after returns the transitions after since that q selects, or all if since is zero,
// oldest first; the seq to continue from; and whether some were overwritten, or since is
// of another run of the service.
func (r *ring) after(q *TransitionQuery, since int64, limit int) (ts []Transition, next int64, gap bool) {
	all := since == 0
	for seq := since + 1; ; all = false {
		r.mu.RLock()
		if oldest := r.oldest(); seq < oldest || seq > r.next {
			seq, gap = oldest, gap || !all
		}
		for stop := min(seq+maxScan, r.next); seq < stop && len(ts) < limit; seq++ {
			if rec := r.at(seq); q.selects(rec) {
				ts = append(ts, rec.transition(seq))
			}
		}
		done := seq == r.next || len(ts) == limit
		r.mu.RUnlock()
		if done {
			return ts, seq - 1, gap
		}
	}
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
	if since == 0 {
		since = r.first - 1
	}
	if since != r.next-1 {
		return nil
	}
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}
