package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// run is one run of a program, which lives on a goroutine of its own.
type run struct {
	spec        Spec
	mark        mark
	family      *family
	program     *exec.Cmd
	stdout      stream
	stderr      stream
	reading     sync.WaitGroup
	ended, over chan struct{} // closed when the program has ended, and when the run is over
	failure     error         // why the program was not started or waited for; valid after over
	left        bool          // a process survived SIGKILL; valid after over

	mu       sync.Mutex
	group    int  // of the program, 0 unless it is started and not waited for; guarded by mu
	stopped  bool // the context has ended before the program; guarded by mu
	deserted bool // nobody waits for the end of the run; guarded by mu
}

// do runs a program to its end, or until ctx ends and it cannot be killed.
func do(ctx context.Context, spec Spec) (Output, error) {
	begin := time.Now()
	r := &run{spec: spec, mark: newMark(), family: spec.Guardian.kin(), ended: make(chan struct{}), over: make(chan struct{})}
	go r.live(ctx)
	stopped := false
	select {
	case <-r.ended:
	case <-r.over:
	case <-ctx.Done():
		if stopped = !r.hasEnded(); stopped && !r.stop() {
			return r.desert(ctx, begin)
		}
	}
	<-r.over
	out := r.output(begin)
	switch {
	case r.failure != nil:
		return Output{ExitCode: -1}, r.failure
	case stopped:
		return out, &TimeoutError{After: out.Duration, Reason: out.Reason(), cause: context.Cause(ctx)}
	case out.ExitCode != 0: // also -1
		return out, &ExitError{Code: out.ExitCode, Signal: out.Signal, Reason: out.Reason()}
	}
	return out, nil
}

// live starts the program and cleans up after it. Its thread ends with it: the thread
// has its own umask, and the program must not outlive it.
func (r *run) live(ctx context.Context) {
	defer close(r.over)
	defer func() {
		if p := recover(); p != nil {
			r.failure = fmt.Errorf("running %q: panic: %v", r.spec.Path, p)
		}
	}()
	runtime.LockOSThread()
	restrictThread()
	slot := r.spec.Guardian.enter(ctx, r.mark)
	defer func() {
		if r.left {
			go r.outlive(slot)
		} else {
			r.spec.Guardian.leave(slot)
		}
	}()
	if r.failure = r.start(ctx); r.failure != nil {
		return
	}
	r.spec.Guardian.started(slot, r.mark, r.program.Process.Pid)
	if !r.spec.Background {
		limitResources(r.program.Process.Pid)
	}
	awaitExit(r.program.Process.Pid)
	close(r.ended)
	r.failure = r.end()
}

// start starts the program and the reading of its output.
func (r *run) start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			r.stdout.close()
			r.stderr.close()
		}
	}()
	if r.program, err = newProgram(r.spec, environment(r.spec, r.mark)); err != nil {
		return fmt.Errorf("starting %q: %w", r.spec.Path, err)
	}
	if err := errors.Join(r.stdout.open(), r.stderr.open()); err != nil {
		return fmt.Errorf("starting %q: making its pipes: %w", r.spec.Path, err)
	}
	r.program.Stdout, r.program.Stderr = r.stdout.theirs, r.stderr.theirs
	if err := r.family.start(ctx, r.program, r.mark); err != nil {
		if path := (*os.PathError)(nil); errors.As(err, &path) {
			err = path.Err
		}
		return fmt.Errorf("starting %q in %q: %w%s", r.spec.Path, r.program.Dir, err, hint(r.spec.Path))
	}
	_ = r.stdout.theirs.Close()
	_ = r.stderr.theirs.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.group = r.program.Process.Pid
	if r.stopped { // it took long to start
		_ = syscall.Kill(-r.group, syscall.SIGKILL)
	}
	if !r.deserted {
		r.reading.Go(r.stdout.read)
		r.reading.Go(r.stderr.read)
	}
	return nil
}

// end ends what the program left behind, and then waits for it: until then, no other
// group has its number.
func (r *run) end() error {
	until := time.Now().Add(cleanTime)
	r.mu.Lock()
	stopped := r.stopped
	r.mu.Unlock()
	if stopped || !r.spec.Background {
		r.signal(syscall.SIGKILL)
		r.left = r.family.end(r.mark, until)
	}
	r.finishReading(until)
	r.stdout.close()
	r.stderr.close()
	r.mu.Lock()
	r.group = 0
	r.mu.Unlock()
	var exit *exec.ExitError
	if err := r.family.wait(r.program); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("waiting for %q: %w", r.spec.Path, err)
	}
	return nil
}

// outlive frees the slot when all that the program left has ended, which on a busy machine
// may take longer than cleanTime. Until then the guardian process knows of it.
func (r *run) outlive(slot int) {
	for pause := cleanTime / 10; r.family.end(r.mark, time.Now()); pause = min(2*pause, cleanTime) {
		time.Sleep(pause)
	}
	r.spec.Guardian.leave(slot)
}

// stop stops the program, as ctx has ended, and reports whether it has ended.
func (r *run) stop() bool {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.signal(syscall.SIGTERM)
	if r.endsWithin(Grace) {
		return true
	}
	r.signal(syscall.SIGKILL)
	return r.endsWithin(killTimeout)
}

func (r *run) hasEnded() bool {
	select {
	case <-r.ended:
		return true
	case <-r.over:
		return true
	default:
		return false
	}
}

func (r *run) endsWithin(d time.Duration) bool {
	select {
	case <-r.ended:
		return true
	case <-r.over:
		return true
	case <-time.After(d):
		return false
	}
}

// signal sends sig to the group of the program.
func (r *run) signal(sig syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.group != 0 {
		_ = syscall.Kill(-r.group, sig)
	}
}

// desert returns without the end of a program that cannot be killed, or does not even
// start. Whenever it ends, it is waited for.
func (r *run) desert(ctx context.Context, begin time.Time) (Output, error) {
	r.mu.Lock()
	r.deserted = true
	started := r.group != 0
	r.mu.Unlock()
	out := Output{ExitCode: -1, Unkillable: started}
	if !started {
		return out, fmt.Errorf("starting %q takes too long: %w", r.spec.Path, context.Cause(ctx))
	}
	r.family.end(r.mark, time.Now().Add(cleanTime))
	r.finishReading(time.Now())
	r.fill(&out)
	out.Duration = time.Since(begin)
	return out, &TimeoutError{After: out.Duration, Reason: out.Reason(), cause: context.Cause(ctx)}
}

// finishReading reads the pipes to their end, or until a time.
func (r *run) finishReading(until time.Time) {
	_ = r.stdout.ours.SetReadDeadline(until)
	_ = r.stderr.ours.SetReadDeadline(until)
	r.reading.Wait()
}

// output returns the result of a run that is over.
func (r *run) output(begin time.Time) Output {
	out := Output{ExitCode: -1, Duration: time.Since(begin), Unkillable: r.left}
	r.fill(&out)
	if r.program == nil || r.program.ProcessState == nil {
		return out
	}
	out.ExitCode = r.program.ProcessState.ExitCode()
	if status, ok := r.program.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		out.Signal = status.Signal()
	}
	return out
}

// fill copies what was read.
func (r *run) fill(out *Output) {
	out.Stdout, out.StdoutSize = r.stdout.head, r.stdout.size
	out.Stderr, out.StderrSize = r.stderr.head, r.stderr.size
}
