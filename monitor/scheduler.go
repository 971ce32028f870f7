package monitor

import (
	"container/heap"
	"context"
	"hash/fnv"
	"sync"
	"time"
)

const (
	// slot is what due times are rounded up to: monitors that are due together
	// share one wake-up, which costs a third of waking for each.
	wakeInterval = 50 * time.Millisecond
	// maxFirstDelay bounds how long a monitor waits for its first probe.
	maxFirstDelay = 10 * time.Second
	// frozenFor is how late the scheduler must be to conclude that the process
	// itself was stopped, and that the jobs it missed must be spread anew.
	suspendedAfter = 5 * time.Second
)

// job is something to start at due times. Its fields belong to the scheduler.
type job struct {
	// start begins the work and returns at once. late is how long after due.
	start func(due time.Time, late time.Duration)
	// spread is the job's own place within the first delay, by its name.
	offset time.Duration

	// due is when it starts, nominal when it should: they differ for a job that
	// was due while the process was stopped.
	due, nominal time.Time
	index        int // in the heap; -1 if not scheduled
}

// newJob returns a job whose place is a hash of its name, so that it is the
// same after each start.
func newJob(name string, interval time.Duration, start func(time.Time, time.Duration)) *job {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	// The low bits of FNV of similar names are alike; the product's high ones
	// are not.
	mixed := h.Sum64() * 0x9e3779b97f4a7c15 >> 16
	within := min(interval, maxFirstDelay)
	return &job{start: start, offset: time.Duration(mixed % uint64(within)), index: -1}
}

// scheduler starts jobs when they are due, from one goroutine and one timer.
type scheduler struct {
	mu    sync.Mutex
	jobs  jobHeap // guarded by mu
	base  time.Time
	wakes chan struct{}
}

func newScheduler() *scheduler {
	return &scheduler{base: time.Now(), wakes: make(chan struct{}, 1)}
}

// first schedules a job for the first time.
func (s *scheduler) start(j *job) { s.schedule(j, time.Now().Add(j.offset)) }

// at schedules a job, or moves it, to the slot at or after due.
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

// sooner moves a job to an earlier time, and leaves it if it is due before.
func (s *scheduler) moveEarlier(j *job, due time.Time) {
	if now := s.dueOf(j); now.IsZero() || due.Before(now) {
		s.schedule(j, due)
	}
}

func (s *scheduler) roundUp(t time.Time) time.Time {
	return s.base.Add((t.Sub(s.base) + wakeInterval - 1) / wakeInterval * wakeInterval)
}

// remove takes a job out; it will not be started again.
func (s *scheduler) remove(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.index >= 0 {
		heap.Remove(&s.jobs, j.index)
	}
}

// dueOf returns when a job is due, or the zero time.
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
			j, due, wait := s.next(time.Now())
			if j == nil {
				timer.Reset(wait)
				break
			}
			j.start(due, time.Since(due))
		}
	}
}

// next takes out the first job that is due, or says how long to wait for it.
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

// spreadAnew gives every job that was due while the process was stopped its
// place within the first delay from now, in place of a burst of all. When it was
// due is kept, so that what was missed can be counted.
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
