package monitor

import (
	"container/heap"
	"context"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/microhq/monitor-srv/clock"
)

const (
	// wakeInterval is what due times are rounded up to. Jobs that are due together
	// share one wake-up of the process, which costs as much CPU time as ten or twenty
	// HTTP probes. As there are never two wake-ups in 100 ms, no 100 ms see more than
	// 1.3 times their share of the jobs.
	wakeInterval = 125 * time.Millisecond
	// earlyInterval is the same for jobs that are moved to an earlier time.
	earlyInterval = wakeInterval / 5
	// maxFirstDelay bounds the delay of the first probe of a monitor.
	maxFirstDelay = 10 * time.Second
	// goldenRatio is the fractional part of the golden ratio, in units of 2^-64. Its
	// multiples, without their integers, divide an interval more evenly than any
	// random numbers do: no two wake-ups get numbers of jobs that differ much.
	goldenRatio = 0x9e3779b97f4a7c15
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

// scheduler starts jobs when they are due, from one goroutine and one timer.
type scheduler struct {
	mu      sync.Mutex
	jobs    jobHeap // guarded by mu
	clock   *clock.Clock
	base    time.Time
	wakes   chan struct{}
	created atomic.Uint64 // jobs so far
}

func newScheduler(c *clock.Clock) *scheduler {
	return &scheduler{clock: c, base: c.Now(), wakes: make(chan struct{}, 1)}
}

// newJob returns the next of the jobs, whose first runs are spread evenly.
func (s *scheduler) newJob(interval time.Duration, start func(time.Time, time.Duration)) *job {
	offset, _ := bits.Mul64(s.created.Add(1)*goldenRatio, uint64(min(interval, maxFirstDelay)))
	return &job{start: start, offset: time.Duration(offset), index: -1}
}

// start schedules the first run of a job.
func (s *scheduler) start(j *job) { s.schedule(j, s.clock.Now().Add(j.offset)) }

// schedule schedules or reschedules a job for the first wake-up at or after due.
func (s *scheduler) schedule(j *job, due time.Time) { s.scheduleAt(j, s.roundUp(due, wakeInterval)) }

func (s *scheduler) scheduleAt(j *job, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j.due = due
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
		s.scheduleAt(j, s.roundUp(due, earlyInterval))
	}
}

func (s *scheduler) roundUp(t time.Time, interval time.Duration) time.Time {
	return s.base.Add((t.Sub(s.base) + interval - 1) / interval * interval)
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
			j.due = s.roundUp(now.Add(j.offset), wakeInterval)
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
