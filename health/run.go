package health

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// verdict is what a check said, or what was said of it, fit for an event.
type verdict struct {
	status  healthpb.HealthCheck_Status
	results map[string]string
	text    string // of the error
	cut     bool
}

// judge runs foreign code: the Error method of err.
func judge(results map[string]string, err error) verdict {
	v := verdict{status: CheckOK}
	var cutText bool
	if err != nil {
		v.status = CheckError
		if isWarning(err) {
			v.status = CheckWarning
		}
		v.text, cutText = clip(err.Error(), MaxText)
	}
	v.results, v.cut = clipResults(results)
	v.cut = v.cut || cutText
	return v
}

var errGoexit = errors.New("check ended its goroutine in place of returning")

// execute makes one run of a check and settles what it said.
func (s *scheduler) execute(ctx context.Context, r *run) {
	v := judge(nil, errGoexit)
	defer func() {
		if s.finish(r) {
			s.judged(r.job.check, v)
		}
	}()
	v = s.call(ctx, r.job.check)
}

// call is the one place where the function of a check, which may do anything, is
// called.
func (s *scheduler) call(ctx context.Context, c Check) (v verdict) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout-c.Timeout/10)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			s.counts.panics.Add(1)
			v = judge(nil, fmt.Errorf("check panicked: %v", p))
			s.panicked(c, v, debug.Stack())
		}
	}()
	return judge(c.Run(ctx))
}

// finish frees the job of a run that returned and tells if its verdict counts.
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
	s.settleLocked()
	return !r.late && !r.job.removed && !s.stopped
}
