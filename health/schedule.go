package health

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"sync"
	"time"
)

// scheduler runs the checks, each at its interval and never twice at once. It has one
// goroutine, and one more for each run that has not returned.
type scheduler struct {
	counts *counters
	// onResult is called with each result, without the lock.
	onResult func(Check, checkResult)
	// onInterval is called each interval.
	onInterval func()
	interval   time.Duration
	onPanic    func(c Check, v checkResult, stack []byte)

	// wake has an item when step should run again.
	wake waker
	// idle is closed when no check runs after stop.
	idle chan struct{}

	mu           sync.Mutex // guards all that follows
	jobs         map[string]*job
	added        int       // jobs ever added
	node         float64   // phase of the node
	start        time.Time // zero until start
	nextInterval time.Time
	stopped      bool
	done         bool // quiet is closed
	running      int  // runs that have not returned and are not late
}

func newScheduler(counts *counters, interval time.Duration) *scheduler {
	return &scheduler{
		counts:   counts,
		interval: interval,
		wake:     make(waker, 1),
		idle:     make(chan struct{}),
		jobs:     make(map[string]*job),
	}
}

// add adds a check whose defaults are set.
func (s *scheduler) add(c Check) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, taken := s.jobs[c.ID]; taken {
		if old.removed {
			return fmt.Errorf("check %q was removed but its last run has not returned", c.ID)
		}
		return fmt.Errorf("check %q is there already", c.ID)
	}
	if len(s.jobs) >= MaxChecks {
		return fmt.Errorf("check %q is one too many: at most %d are allowed", c.ID, MaxChecks)
	}
	s.added++
	// Multiples of the golden ratio are spread evenly, however many there are.
	j := &job{check: c, phase: math.Mod(float64(s.added)*math.Phi, 1)}
	s.jobs[c.ID] = j
	if !s.start.IsZero() {
		j.plan(time.Now(), s.node)
		s.wake.send()
	}
	return nil
}

// remove removes a check and reports whether there was one.
func (s *scheduler) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.findLocked(id)
	switch {
	case j == nil:
		return false
	case j.run == nil:
		delete(s.jobs, id)
	default:
		j.removed = true
	}
	return true
}

// findLocked returns the job of a check, or nil if there is none. s.mu is held.
func (s *scheduler) findLocked(id string) *job {
	if j := s.jobs[id]; j != nil && !j.removed {
		return j
	}
	return nil
}

// trigger makes a check run now.
func (s *scheduler) trigger(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.findLocked(id)
	if j == nil {
		return fmt.Errorf("no check %q", id)
	}
	if s.start.IsZero() || s.stopped {
		return errors.New("the reporter does not run")
	}
	j.next = time.Now()
	s.wake.send()
	return nil
}

// begin plans all jobs. The id of the node shifts them, so that the nodes of a service
// that start together do not always query the same database together.
func (s *scheduler) begin(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := fnv.New64a()
	_, _ = h.Write([]byte(node))
	s.node = float64(h.Sum64()>>11) / (1 << 53)
	s.start = time.Now()
	s.nextInterval = s.start.Add(s.interval)
	for _, j := range s.jobs {
		j.plan(s.start, s.node)
	}
}

// run starts what is due until ctx is done.
func (s *scheduler) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.wake:
		}
		timer.Reset(s.step(ctx, time.Now()))
	}
}

// step starts the runs that are due, reports those that are late and returns the time
// until the next step.
func (s *scheduler) step(ctx context.Context, now time.Time) time.Duration {
	type lateRun struct {
		check Check
		since time.Duration
	}
	var late []lateRun

	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return s.interval
	}
	due := !s.nextInterval.After(now)
	if due {
		s.nextInterval = s.nextInterval.Add(now.Sub(s.nextInterval).Truncate(s.interval) + s.interval)
	}
	wait := s.nextInterval.Sub(now)
	for _, j := range s.jobs {
		timedOut, again := s.stepJobLocked(ctx, j, now)
		if timedOut || again {
			late = append(late, lateRun{j.check, now.Sub(j.run.started)})
		}
		wait = min(wait, j.wait(now))
	}
	s.mu.Unlock()

	for _, l := range late {
		s.onResult(l.check, newResult(nil, timeoutError(l.check, l.since)))
	}
	if due {
		s.onInterval()
	}
	return wait
}

// stepJobLocked starts a due run. It reports whether the run under way has just timed
// out, and whether a run was due while a late one is under way.
func (s *scheduler) stepJobLocked(ctx context.Context, j *job, now time.Time) (timedOut, again bool) {
	if j.removed {
		return false, false
	}
	if j.run != nil && !j.run.late && now.Sub(j.run.started) >= j.check.Timeout {
		j.run.late = true
		s.running--
		s.counts.late.Add(1)
		timedOut = true
	}
	if j.next.After(now) {
		return timedOut, false
	}
	j.advance(now)
	if j.run != nil {
		s.counts.skipped.Add(1)
		return timedOut, j.run.late
	}
	s.counts.runs.Add(1)
	s.running++
	j.run = &run{job: j, started: now}
	go s.execute(ctx, j.run)
	return false, false
}

// stop starts no more runs and ignores further results. The caller then cancels the
// context of run.
func (s *scheduler) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.signalIdleLocked()
}

// unfinished lists the checks whose last run has not returned.
func (s *scheduler) unfinished() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id, j := range s.jobs {
		if j.run != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *scheduler) signalIdleLocked() {
	if s.stopped && !s.done && s.running == 0 {
		s.done = true
		close(s.idle)
	}
}
