package command

import (
	"log/slog"
	"sync"
)

// GuardianConfig says how to start a guardian process.
type GuardianConfig struct {
	// Path and Args start a program that calls Guard and does nothing else. Such
	// a program is this one, with an argument to tell it so: "/proc/self/exe" is
	// the same file even after it was replaced. Required.
	Path string
	Args []string
	// Log hears of it when commands are not guarded; nil drops it.
	Log *slog.Logger
}

// Guardian has the commands of this process killed when it dies without doing so
// itself, by SIGKILL or a crash: with all that they started, as far as that
// stayed in their group or kept their mark. What a Background command left when
// it ended is none of its business.
//
// It is a second process, which sleeps until the pipe to it breaks. It is started
// before the first command, and again whenever it ends. A nil Guardian guards
// nothing; nor does one whose process cannot be started, and commands run all the
// same. Where this process is the first of its container there is no second one:
// there the kernel kills all.
type Guardian struct {
	cfg    GuardianConfig
	want   sync.Once
	wanted chan struct{} // closed by the first command
	settle sync.Once
	ready  chan struct{} // closed once commands need not wait for the process
	runs   table
}

// NewGuardian returns a Guardian for Specs to name. It needs Run: the commands
// that it guards wait for it.
func NewGuardian(cfg GuardianConfig) *Guardian {
	return &Guardian{cfg: cfg, wanted: make(chan struct{}), ready: make(chan struct{})}
}

func (g *Guardian) settled() { g.settle.Do(func() { close(g.ready) }) }
