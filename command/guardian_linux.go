package command

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// A guardian process that ran for stableTime is restarted at once, others after a
	// pause that doubles.
	stableTime = time.Minute
	minPause   = time.Second
	maxPause   = time.Minute
)

// Run keeps a guardian process running, from the first command until ctx ends. By
// then the commands should have ended; the process kills those that have not. Run
// returns nil when the process has ended, at most 5 s after ctx.
func (g *Guardian) Run(ctx context.Context) error {
	defer g.setReady()
	select {
	case <-g.needed:
	case <-ctx.Done():
		return nil
	}
	if os.Getpid() == 1 {
		return nil
	}
	if err := g.table.open(); err != nil {
		g.warn(err)
		return nil
	}
	defer g.table.close()
	var pause time.Duration
	for warned := false; ; pause = min(max(2*pause, minPause), maxPause) {
		begun := time.Now()
		err := g.runProcess(ctx)
		if ctx.Err() != nil {
			return nil
		}
		g.setReady()
		if time.Since(begun) >= stableTime {
			pause, warned = 0, false
		}
		if !warned {
			g.warn(err)
			warned = true
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

func (g *Guardian) warn(err error) {
	if g.cfg.Log != nil {
		g.cfg.Log.Warn("guardian process failed, retrying: until it runs, commands may outlive this process if it is killed", "err", err)
	}
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
	// A new session keeps terminal signals away from it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	keepFiles()
	err = cmd.Start()
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
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("the guardian process ended: %w", err)
	}
	return fmt.Errorf("the guardian process ended")
}

// enter records the mark of a run that is about to begin, and returns its slot in the
// table.
func (g *Guardian) enter(ctx context.Context, mark string) int {
	if g == nil {
		return noSlot
	}
	g.needOnce.Do(func() { close(g.needed) })
	select {
	case <-g.ready:
	case <-ctx.Done():
	}
	return g.table.take(markKey(mark))
}

// started records the group of a run.
func (g *Guardian) started(slot int, mark string, group int) {
	if g != nil {
		g.table.write(slot, markKey(mark), group)
	}
}

// leave frees the slot of a run.
func (g *Guardian) leave(slot int) {
	if g != nil {
		g.table.free(slot)
	}
}

// markKey returns the random part of a mark.
func markKey(mark string) string { return strings.TrimPrefix(mark, markName+"=") }
