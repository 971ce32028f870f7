package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	// killedPause is the pause before a guardian process that was killed is replaced.
	killedPause = 20 * time.Millisecond
	// The pause after one that ended by itself doubles from minPause to maxPause. One
	// that ran for stableTime counts as new.
	stableTime = time.Minute
	minPause   = time.Second
	maxPause   = time.Minute
)

// Run adopts the orphans of commands, reaps them, and keeps a guardian process running,
// from the first command until ctx ends. By then the commands should have ended; the
// process kills those that have not. Run returns nil when the process has ended, at
// most 5 s after ctx.
func (g *Guardian) Run(ctx context.Context) error {
	defer g.setReady()
	select {
	case <-g.needed:
	case <-ctx.Done():
		return nil
	}
	if err := g.family.adopt(); err != nil {
		g.warn("orphans of commands are not adopted, so all processes are searched after each command", err)
	}
	var reaping sync.WaitGroup
	defer reaping.Wait()
	reaping.Go(func() { g.family.reapUntil(ctx) })
	if os.Getpid() == 1 {
		g.setReady()
		return nil
	}
	if err := g.table.open(); err != nil {
		g.warn(unguarded, err)
		g.setReady()
		return nil
	}
	defer g.table.close()
	g.keepProcess(ctx)
	return nil
}

// unguarded is the warning that there is no guardian process.
const unguarded = "guardian process failed, retrying: until it runs, commands may outlive this process if it is killed"

// keepProcess restarts the process until ctx ends. One that is killed is replaced at
// once, others after a pause that doubles.
func (g *Guardian) keepProcess(ctx context.Context) {
	var pause time.Duration
	for warned := false; ; {
		begun := time.Now()
		err := g.runProcess(ctx)
		if ctx.Err() != nil {
			return
		}
		g.setReady()
		if time.Since(begun) >= stableTime {
			pause, warned = 0, false
		}
		if !warned {
			g.warn(unguarded, err)
			warned = true
		}
		wait := killedPause
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.Exited() {
			pause = min(max(2*pause, minPause), maxPause)
			wait = pause
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (g *Guardian) warn(what string, err error) {
	if g.cfg.Log != nil {
		g.cfg.Log.Warn(what, "err", err)
	}
}

// kin returns the family of the commands. Those without a guardian have their own.
func (g *Guardian) kin() *family {
	if g == nil {
		return newFamily()
	}
	return g.family
}

// runProcess starts the process and waits for its end, which the end of ctx causes.
func (g *Guardian) runProcess(ctx context.Context) error {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	defer ours.Close()
	cmd := exec.Command(g.cfg.Path, g.cfg.Args...)
	// The process needs no environment, which may hold secrets. One thread at a time
	// is enough.
	cmd.Env = []string{"GOMAXPROCS=1"}
	cmd.Dir = "/"
	cmd.Stdin = theirs
	cmd.ExtraFiles = []*os.File{g.table.file}
	// A new session keeps terminal signals away from it. If it is stopped, the end of
	// this process continues it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGCONT}
	keepFiles()
	err = g.family.start(ctx, cmd, newMark())
	_ = theirs.Close()
	if err != nil {
		return fmt.Errorf("starting the guardian process: %w", err)
	}
	g.setReady()
	stop := context.AfterFunc(ctx, func() {
		_ = ours.Close()
		time.AfterFunc(guardTimeout, func() { _ = cmd.Process.Kill() })
	})
	defer stop()
	if err := g.family.wait(cmd); err != nil {
		return fmt.Errorf("the guardian process ended: %w", err)
	}
	return fmt.Errorf("the guardian process ended")
}

// enter records the mark of a run that is about to begin, and returns its slot in the
// table.
func (g *Guardian) enter(ctx context.Context, m mark) int {
	if g == nil {
		return noSlot
	}
	g.needOnce.Do(func() { close(g.needed) })
	select {
	case <-g.ready:
	case <-ctx.Done():
	}
	return g.table.take(m.String())
}

// started records the group of a run.
func (g *Guardian) started(slot int, m mark, group int) {
	if g != nil {
		g.table.write(slot, m.String(), group)
	}
}

// leave frees the slot of a run.
func (g *Guardian) leave(slot int) {
	if g != nil {
		g.table.free(slot)
	}
}
