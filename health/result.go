package health

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// checkResult is the result of one run of a check, within the limits of an event.
type checkResult struct {
	status  healthpb.HealthCheck_Status
	results map[string]string
	text    string // of the error
	cut     bool
}

// newResult calls the Error method of err, which is not our code and may panic.
func newResult(results map[string]string, err error) checkResult {
	result := checkResult{status: CheckOK}
	var cutText bool
	if err != nil {
		result.status = CheckError
		if isWarning(err) {
			result.status = CheckWarning
		}
		result.text, cutText = truncate(err.Error(), MaxText)
	}
	result.results, result.cut = truncateResults(results)
	result.cut = result.cut || cutText
	return result
}

var errGoexit = errors.New("check ended its goroutine without returning")

// execute makes one run of a check and reports its result.
func (s *scheduler) execute(ctx context.Context, r *run) {
	result := newResult(nil, errGoexit)
	defer func() {
		if s.finish(r) {
			s.onResult(r.job.check, result)
		}
	}()
	result = s.call(ctx, r.job.check)
}

// call is the only place that calls the function of a check, which may hang or panic.
func (s *scheduler) call(ctx context.Context, c Check) (result checkResult) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout-c.Timeout/10)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			s.counts.panics.Add(1)
			result = newResult(nil, fmt.Errorf("check panicked: %v", p))
			s.onPanic(c, result, debug.Stack())
		}
	}()
	return newResult(c.Run(ctx))
}

// finish ends the run of a job and reports whether its result counts.
func (s *scheduler) finish(r *run) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.job.run = nil
	if !r.late {
		s.running--
	}
	if r.job.removed {
		delete(s.jobs, r.job.check.ID)
	}
	s.signalIdleLocked()
	return !r.late && !r.job.removed && !s.stopped
}
