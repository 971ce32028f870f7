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

// scheduler runs checks: each at its time, none beside itself. It has one
// goroutine, and one more for each run that has not returned.
type scheduler struct {
	counts *counters
	// judged is called with each verdict, outside the lock.
	judged func(Check, verdict)
	// beat is called each interval.
	beat     func()
	interval time.Duration
	panicked func(c Check, v verdict, stack []byte)

	// wake has an item when step should look again.
	wake chan struct{}
	// quiet is closed once nothing runs after stop.
	quiet chan struct{}

	mu       sync.Mutex // guards all that follows
	jobs     map[string]*job
	added    int       // jobs ever added
	node     float64   // phase of the node
	start    time.Time // zero until start
	nextBeat time.Time
	stopped  bool
	done     bool // quiet is closed
	running  int  // runs that have not returned and are not late
}

func newScheduler(counts *counters, interval time.Duration) *scheduler {
	return &scheduler{
		counts:   counts,
		interval: interval,
		wake:     make(chan struct{}, 1),
		quiet:    make(chan struct{}),
		jobs:     make(map[string]*job),
	}
}

// add takes a check whose defaults are filled.
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
		s.wakeUp()
	}
	return nil
}

// remove forgets a check and tells if there was one.
func (s *scheduler) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobs[id]
	if !ok || j.removed {
		return false
	}
	if j.run == nil {
		delete(s.jobs, id)
	} else {
		j.removed = true
	}
	return true
}

// trigger makes a check due now.
func (s *scheduler) trigger(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobs[id]
	if !ok || j.removed {
		return fmt.Errorf("no check %q", id)
	}
	if s.start.IsZero() || s.stopped {
		return errors.New("the reporter does not run")
	}
	j.next = time.Now()
	s.wakeUp()
	return nil
}

// begin plans all jobs. The id of the node shifts them, so that the nodes of a
// service that start together do not ask the same database together for ever.
func (s *scheduler) begin(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := fnv.New64a()
	_, _ = h.Write([]byte(node))
	s.node = float64(h.Sum64()>>11) / (1 << 53)
	s.start = time.Now()
	s.nextBeat = s.start.Add(s.interval)
	for _, j := range s.jobs {
		j.plan(s.start, s.node)
	}
}

// run starts what is due until ctx ends.
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

// step starts what is due, judges what is overdue and returns the time until
// there is more to do.
func (s *scheduler) step(ctx context.Context, now time.Time) time.Duration {
	type silent struct {
		check Check
		since time.Duration
	}
	var overdue []silent

	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return s.interval
	}
	beat := !s.nextBeat.After(now)
	if beat {
		s.nextBeat = s.nextBeat.Add(now.Sub(s.nextBeat).Truncate(s.interval) + s.interval)
	}
	wait := s.nextBeat.Sub(now)
	for _, j := range s.jobs {
		passed, again := s.stepJobLocked(ctx, j, now)
		if passed || again {
			overdue = append(overdue, silent{j.check, now.Sub(j.run.started)})
		}
		wait = min(wait, j.wait(now))
	}
	s.mu.Unlock()

	for _, o := range overdue {
		s.judged(o.check, judge(nil, noAnswer(o.check, o.since)))
	}
	if beat {
		s.beat()
	}
	return wait
}

// stepJobLocked starts a due run. It tells if the deadline of the run under way
// has just passed, and if a run was due while one that is late is under way.
func (s *scheduler) stepJobLocked(ctx context.Context, j *job, now time.Time) (passed, again bool) {
	if j.removed {
		return false, false
	}
	if j.run != nil && !j.run.late && now.Sub(j.run.started) >= j.check.Timeout {
		j.run.late = true
		s.running--
		s.counts.late.Add(1)
		passed = true
	}
	if j.next.After(now) {
		return passed, false
	}
	j.advance(now)
	if j.run != nil {
		s.counts.skipped.Add(1)
		return passed, j.run.late
	}
	s.counts.runs.Add(1)
	s.running++
	j.run = &run{job: j, started: now}
	go s.execute(ctx, j.run)
	return false, false
}

// stop starts nothing more and takes no more verdicts. The context given to run
// must be cancelled after it.
func (s *scheduler) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.settleLocked()
}

// stuck lists the checks whose last run has not returned.
func (s *scheduler) stuck() []string {
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

func (s *scheduler) settleLocked() {
	if s.stopped && !s.done && s.running == 0 {
		s.done = true
		close(s.quiet)
	}
}

func (s *scheduler) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
