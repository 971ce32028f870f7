package command

import (
	"log/slog"
	"sync"
)

// GuardianConfig says how to start the guardian process.
type GuardianConfig struct {
	// Path and Args start a program that calls Guard and does nothing else. This may
	// be the program itself with a special argument: "/proc/self/exe" is the same
	// file even after it was replaced. Required.
	Path string
	Args []string
	// Log receives a warning when commands are not guarded. Nil discards it.
	Log *slog.Logger
}

// Guardian adopts and reaps the orphans of the commands of this process, which has one
// Guardian at most, and kills the commands and their children if this process dies by
// SIGKILL or a crash. It reaches processes that stayed in their group or kept
// their mark. It ignores what a Background command left behind when it ended.
//
// The guardian is a second process that sleeps until the pipe to it breaks. It is
// started before the first command, and restarted whenever it ends. A nil Guardian
// guards nothing, and commands search all processes for what they left. If the process
// cannot be started, commands run unguarded. If this process is the first of its
// container, no second one is started, because the kernel kills all.
type Guardian struct {
	cfg       GuardianConfig
	needOnce  sync.Once
	needed    chan struct{} // closed by the first command
	readyOnce sync.Once
	ready     chan struct{} // closed when commands need not wait for the process any more
	table     runTable
	family    *family
}

// NewGuardian returns a Guardian for Spec.Guardian. Commands with it wait until Run
// has started its process.
func NewGuardian(cfg GuardianConfig) *Guardian {
	return &Guardian{cfg: cfg, needed: make(chan struct{}), ready: make(chan struct{}), family: newFamily()}
}

func (g *Guardian) setReady() { g.readyOnce.Do(func() { close(g.ready) }) }
