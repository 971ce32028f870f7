package monitor

import (
	"log/slog"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/clock"
)

const (
	// pulseInterval is how often a standstill is looked for while probes are under way.
	pulseInterval = 100 * time.Millisecond
	// pulseGrace is how much later than that a busy process may look without having
	// stood still.
	pulseGrace = 100 * time.Millisecond
	// tooShort is a time within which no suspension fits: before and after it, while the
	// clock runs, the system freezes and thaws its processes and devices.
	tooShort = time.Millisecond
	// maxIgnored is how many results of a monitor are ignored one after the other. A
	// process that stands still all the time must not hide every failure.
	maxIgnored = 5
	// enoughStandstill makes the result of a probe meaningless, and half of its timeout
	// does too if that is less.
	enoughStandstill = 500 * time.Millisecond
	// notableStandstill is logged.
	notableStandstill = time.Second
)

// standstill measures how long the process does not run while probes are under way:
// SIGSTOP, a paused container, a suspended machine. The deadlines of such probes pass
// although the answers are there, and connections are closed by their peers.
type standstill struct {
	clock     *clock.Clock
	suspended func() time.Duration // of the system, so far
	log       *slog.Logger
	// pulse runs while probes are under way. Most end before it fires, so that it wakes
	// no idle process.
	pulse *time.Timer

	mu       sync.Mutex
	probes   int           // guarded by mu; under way
	last     time.Time     // guarded by mu; when it was looked for
	lastStop time.Duration // guarded by mu; suspended at last
	total    time.Duration // guarded by mu
}

func newStandstill(c *clock.Clock, log *slog.Logger) *standstill {
	s := &standstill{clock: c, suspended: clock.Suspended, log: log}
	s.pulse = time.AfterFunc(pulseInterval, s.look)
	return s
}

// begin is called when a probe begins. It returns the total so far; see end.
func (s *standstill) begin() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probes == 0 {
		s.pulse.Reset(pulseInterval)
		if now := s.clock.Now(); now.Sub(s.last) >= tooShort { // nobody looked meanwhile, and it harmed nobody
			s.last, s.lastStop = now, s.suspended()
		}
	}
	s.lookLocked()
	s.probes++
	return s.total
}

// end is called when a probe ends, with the result of begin. It returns how long the
// process stood still meanwhile.
func (s *standstill) end(before time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookLocked()
	if s.probes--; s.probes == 0 {
		s.pulse.Stop()
	}
	return s.total - before
}

// look looks for a standstill again and again while probes are under way.
func (s *standstill) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probes > 0 {
		s.lookLocked()
		s.pulse.Reset(pulseInterval)
	}
}

// lookLocked adds the time that passed unnoticed to the total.
func (s *standstill) lookLocked() {
	now := s.clock.Now()
	if now.Sub(s.last) < tooShort {
		return
	}
	stop := s.suspended()
	stood := now.Sub(s.last) - pulseInterval
	if stood <= pulseGrace {
		stood = 0
	}
	if slept := stop - s.lastStop; slept > pulseGrace { // which the clock does not count
		stood += slept
	}
	s.last, s.lastStop = now, stop
	s.total += stood
	if stood >= notableStandstill {
		s.log.Warn("this process stood still; probes that were under way are repeated", "for", stood.Round(100*time.Millisecond), "probes", s.probes)
	}
}

// ignore reports whether a result says nothing because the process stood still
// meanwhile, and repeats the probe soon. r.mu is held.
func (r *runner) ignore(m *measurement) bool {
	if m.stood < min(enoughStandstill, r.deadline()/2) || r.ignored >= maxIgnored {
		r.ignored = 0
		return false
	}
	r.ignored++
	r.countMissed(1)
	// The offset spreads the probes that were under way together.
	r.group.scheduler.moveEarlier(r.job, r.group.clock.Now().Add(r.job.offset))
	return true
}
