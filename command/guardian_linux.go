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
	// A guardian process that lived for a while is started again at once, the
	// others after a pause that doubles.
	lifeTime = time.Minute
	minPause = time.Second
	maxPause = time.Minute
)

// Run keeps a guardian process, from the first command on until ctx ends: by then
// the commands should have ended, what is left of them is killed. It returns nil
// once the process has ended, 5 s after ctx at the latest.
func (g *Guardian) Run(ctx context.Context) error {
	defer g.settled()
	select {
	case <-g.wanted:
	case <-ctx.Done():
		return nil
	}
	if os.Getpid() == 1 {
		return nil
	}
	if err := g.runs.open(); err != nil {
		g.warn(err)
		return nil
	}
	defer g.runs.close()
	var pause time.Duration
	for warned := false; ; pause = min(max(2*pause, minPause), maxPause) {
		begun := time.Now()
		err := g.live(ctx)
		if ctx.Err() != nil {
			return nil
		}
		g.settled()
		if time.Since(begun) >= lifeTime {
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
		g.cfg.Log.Warn("commands run without their guardian, which is tried again; what they start may outlive a kill of this process", "err", err)
	}
}

// live starts the process and waits for its end, of which the end of ctx is the
// reason if all is well.
func (g *Guardian) live(ctx context.Context) error {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	defer ours.Close()
	cmd := exec.Command(g.cfg.Path, g.cfg.Args...)
	// Nothing of the environment is needed, and it may hold secrets. One thread
	// at a time is enough.
	cmd.Env = []string{"GOMAXPROCS=1"}
	cmd.Dir = "/"
	cmd.Stdin = theirs
	cmd.ExtraFiles = []*os.File{g.runs.file}
	// In a session of its own, what is typed at ours does not reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	keepFiles()
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return fmt.Errorf("starting the guardian of commands: %w", err)
	}
	g.settled()
	stop := context.AfterFunc(ctx, func() {
		_ = ours.Close()
		time.AfterFunc(guardTime, func() { _ = cmd.Process.Kill() })
	})
	defer stop()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("the guardian of commands ended: %w", err)
	}
	return fmt.Errorf("the guardian of commands ended")
}

// enter notes a run that is about to begin, by its mark, and returns its place in
// the table.
func (g *Guardian) enter(ctx context.Context, mark string) int {
	if g == nil {
		return nowhere
	}
	g.want.Do(func() { close(g.wanted) })
	select {
	case <-g.ready:
	case <-ctx.Done():
	}
	return g.runs.take(keyOf(mark))
}

// started notes the group of a run.
func (g *Guardian) started(place int, mark string, group int) {
	if g != nil {
		g.runs.write(place, keyOf(mark), group)
	}
}

// leave forgets a run.
func (g *Guardian) leave(place int) {
	if g != nil {
		g.runs.free(place)
	}
}

// keyOf returns what tells a mark from others.
func keyOf(mark string) string { return strings.TrimPrefix(mark, markName+"=") }
