package monitor

import (
	"container/heap"
	"context"
	"hash/fnv"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/clock"
)

const (
	// wakeInterval is what due times are rounded up to. Jobs that are due together
	// share one wake-up, which costs a third of one wake-up for each.
	wakeInterval = 50 * time.Millisecond
	// maxFirstDelay bounds the delay of the first probe of a monitor.
	maxFirstDelay = 10 * time.Second
	// suspendedAfter is the lateness from which on the scheduler assumes that the
	// whole process was suspended, and spreads the overdue jobs.
	suspendedAfter = 5 * time.Second
)

// job is work to start at due times, which are those of the clock of the scheduler. Its
// fields belong to the scheduler.
type job struct {
	// start starts the work and returns at once. late is the delay since due.
	start func(due time.Time, late time.Duration)
	// offset is the delay of the first run.
	offset time.Duration

	// due is when the job starts, nominal when it was scheduled for. They differ
	// for a job that was due while the process was suspended.
	due, nominal time.Time
	index        int // in the heap; -1 if not scheduled
}

// newJob returns a job whose offset is a hash of its name: the first runs of many
// jobs are spread, and each has the same offset after a restart.
func newJob(name string, interval time.Duration, start func(time.Time, time.Duration)) *job {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	// Similar names have similar low bits in FNV. The high bits of the product
	// differ.
	mixed := h.Sum64() * 0x9e3779b97f4a7c15 >> 16
	longest := min(interval, maxFirstDelay)
	return &job{start: start, offset: time.Duration(mixed % uint64(longest)), index: -1}
}

// scheduler starts jobs when they are due, from one goroutine and one timer.
type scheduler struct {
	mu    sync.Mutex
	jobs  jobHeap // guarded by mu
	clock *clock.Clock
	base  time.Time
	wakes chan struct{}
}

func newScheduler(c *clock.Clock) *scheduler {
	return &scheduler{clock: c, base: c.Now(), wakes: make(chan struct{}, 1)}
}

// start schedules the first run of a job.
func (s *scheduler) start(j *job) { s.schedule(j, s.clock.Now().Add(j.offset)) }

// schedule schedules or reschedules a job for the first wake-up at or after due.
func (s *scheduler) schedule(j *job, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j.due = s.roundUp(due)
	j.nominal = j.due
	if j.index >= 0 {
		heap.Fix(&s.jobs, j.index)
	} else {
		heap.Push(&s.jobs, j)
	}
	if j.index == 0 {
		select {
		case s.wakes <- struct{}{}:
		default:
		}
	}
}

// moveEarlier reschedules a job for due unless it is due before that.
func (s *scheduler) moveEarlier(j *job, due time.Time) {
	if now := s.dueOf(j); now.IsZero() || due.Before(now) {
		s.schedule(j, due)
	}
}

func (s *scheduler) roundUp(t time.Time) time.Time {
	return s.base.Add((t.Sub(s.base) + wakeInterval - 1) / wakeInterval * wakeInterval)
}

// remove unschedules a job.
func (s *scheduler) remove(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.index >= 0 {
		heap.Remove(&s.jobs, j.index)
	}
}

// dueOf returns the time at which a job is due, or the zero time.
func (s *scheduler) dueOf(j *job) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.index < 0 {
		return time.Time{}
	}
	return j.due
}

// Run starts jobs until ctx ends.
func (s *scheduler) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wakes:
		case <-timer.C:
		}
		for ctx.Err() == nil {
			j, due, wait := s.next(s.clock.Now())
			if j == nil {
				timer.Reset(wait)
				break
			}
			j.start(due, s.clock.Since(due))
		}
	}
}

// next removes and returns the first job that is due, or the time to wait for it.
func (s *scheduler) next(now time.Time) (*job, time.Time, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) == 0 {
		return nil, time.Time{}, time.Hour
	}
	j := s.jobs[0]
	if wait := j.due.Sub(now); wait > 0 {
		return nil, time.Time{}, wait
	}
	if now.Sub(j.due) > suspendedAfter {
		s.respread(now)
		return nil, time.Time{}, 0
	}
	heap.Pop(&s.jobs)
	return j, j.nominal, 0
}

// respread delays every overdue job by its offset, which avoids a burst. The
// nominal time stays, so that the missed runs can be counted.
func (s *scheduler) respread(now time.Time) {
	for _, j := range s.jobs {
		if j.due.Before(now) {
			j.due = s.roundUp(now.Add(j.offset))
		}
	}
	heap.Init(&s.jobs)
}

// jobHeap orders jobs by due time.
type jobHeap []*job

func (h jobHeap) Len() int           { return len(h) }
func (h jobHeap) Less(i, k int) bool { return h[i].due.Before(h[k].due) }
func (h jobHeap) Swap(i, k int) {
	h[i], h[k] = h[k], h[i]
	h[i].index, h[k].index = i, k
}

func (h *jobHeap) Push(x any) {
	j := x.(*job)
	j.index = len(*h)
	*h = append(*h, j)
}

func (h *jobHeap) Pop() any {
	old := *h
	j := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	j.index = -1
	return j
}
