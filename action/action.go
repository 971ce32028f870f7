package action

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/microhq/monitor-srv/command"
)

const (
	// DefaultTimeout is the deadline of one attempt where a kind sets none.
	DefaultTimeout = 30 * time.Second
	// MaxTimeout is the longest deadline that a kind may set.
	MaxTimeout = 10 * time.Minute
)

// An Action passes notices on, once: whether to try again is decided by who
// calls it. It is safe for several calls at a time.
type Action interface {
	// Notify makes one attempt within the deadline of ctx. It gets one notice,
	// or several in order if the action is a Grouper. A *Permanent error says
	// that trying again is of no use, a *RetryAfter when to try again, an
	// *Unreachable that nobody heard anything, any other error that it may work
	// later. No error tells a secret.
	Notify(ctx context.Context, ns []Notification) error
}

// A Grouper is an Action that may take several notices in one attempt.
type Grouper interface {
	// Groups reports whether it does.
	Groups() bool
}

// A Deadliner is an Action that sets the deadline of its attempts.
type Deadliner interface {
	// Deadline returns how long one attempt may take, at most MaxTimeout.
	Deadline() time.Duration
}

// Env is what actions get from the program.
type Env struct {
	// Host is the name of this machine. Empty means "localhost".
	Host string
	// Version is that of the program.
	Version string
	// Log takes what a user asked to see. Nil means nothing is logged.
	Log *slog.Logger
	// Publish sends an event to a topic of the bus. Nil means there is no bus:
	// publish actions can be checked but not run.
	Publish func(ctx context.Context, topic string, header map[string]string, body []byte) error
	// Guardian kills the programs of exec actions if this process is killed; nil
	// means that nobody does.
	Guardian *command.Guardian
}

func (e Env) log() *slog.Logger {
	if e.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return e.Log
}

func (e Env) host() string {
	if e.Host == "" {
		return "localhost"
	}
	return e.Host
}

// Kind makes an action of one kind. It fills in its defaults, calls decode with
// a pointer to its struct of keys, checks them and reads the files they name; it
// does no other I/O. No error tells a secret.
type Kind func(decode func(any) error, env Env) (Action, error)

// Builtin returns the kinds of this package by the name that "type" gives them,
// in a map of the caller's own. All exec actions made from one map share its
// bound on programs at a time.
func Builtin() map[string]Kind {
	slots := make(chan struct{}, maxPrograms)
	return map[string]Kind{
		"exec": func(decode func(any) error, env Env) (Action, error) {
			return newExec(decode, env, slots)
		},
		"http":    newHTTP,
		"mail":    newMail,
		"notify":  newNotify,
		"publish": newPublish,
	}
}

// Permanent is an error that trying again does not mend.
type Permanent struct{ Err error }

func (p *Permanent) Error() string { return p.Err.Error() }

// Unwrap returns the error itself.
func (p *Permanent) Unwrap() error { return p.Err }

// RetryAfter is an error of a receiver that said when to try again.
type RetryAfter struct {
	// After is how long to wait at least, from now.
	After time.Duration
	Err   error
}

func (r *RetryAfter) Error() string { return r.Err.Error() }

// Unwrap returns the error itself.
func (r *RetryAfter) Unwrap() error { return r.Err }

// Unreachable is an error of an attempt that came to nobody: no connection was
// made, or it broke before the receiver could have taken anything. Looking again
// soon is cheap and tells nobody twice. An answer, whatever it says, is not one.
type Unreachable struct{ Err error }

func (u *Unreachable) Error() string { return u.Err.Error() }

// Unwrap returns the error itself.
func (u *Unreachable) Unwrap() error { return u.Err }

// checkTimeout returns the timeout of one attempt: the default in place of zero.
func checkTimeout(d time.Duration) (time.Duration, error) {
	switch {
	case d == 0:
		return DefaultTimeout, nil
	case d < 0 || d > MaxTimeout:
		return 0, fmt.Errorf("timeout %v is out of range: give at most %v", d, MaxTimeout)
	}
	return d, nil
}
