package action

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/microhq/monitor-srv/command"
)

const (
	// DefaultTimeout is the deadline of an attempt if a kind sets none.
	DefaultTimeout = 30 * time.Second
	// MaxTimeout is the longest deadline that a kind may set.
	MaxTimeout = 10 * time.Minute
)

// An Action sends notifications. It makes single attempts; its caller retries. It is
// safe for concurrent use.
type Action interface {
	// Notify makes one attempt within the deadline of ctx. It gets one notification,
	// or several in order if the action is a Grouper. The error is a *Permanent if a
	// retry cannot succeed, a *RetryAfter if the receiver said when to retry, an
	// *Unreachable if nothing can have been delivered, and any other error if a retry
	// may succeed. No error contains a secret.
	Notify(ctx context.Context, ns []Notification) error
}

// A Grouper is an Action that may send several notifications in one attempt.
type Grouper interface {
	// Groups reports whether this action does.
	Groups() bool
}

// A Starter is an Action that is notified of some starts of monitors only.
type Starter interface {
	// Inits reports whether the action is notified of a start at once, as in goma, or
	// after the first good result. It gets no Init otherwise.
	Inits() (atOnce, onceGood bool)
}

// A Warner is an Action that works, but is probably not what is meant.
type Warner interface {
	// Warnings returns errors that begin with the key they are about.
	Warnings() []error
}

// A Deadliner is an Action that sets the deadline of its attempts.
type Deadliner interface {
	// Deadline returns how long one attempt may take, at most MaxTimeout.
	Deadline() time.Duration
}

// Env is what actions need from the program.
type Env struct {
	// Host is the name of this machine; "localhost" if empty.
	Host string
	// Resolver finds the full name of Host, for mail servers. With nil it is not looked
	// up.
	Resolver *net.Resolver
	// Version is the version of the program.
	Version string
	// Log receives what the key debug of an action asks for. Nil discards it.
	Log *slog.Logger
	// Publish sends an event to a topic of the bus. With nil, publish actions can be
	// checked but not run.
	Publish func(ctx context.Context, topic string, header map[string]string, body []byte) error
	// Guardian kills the programs of exec actions if this process is killed. Nil
	// means that nothing does.
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

// Kind makes an action of one kind. It sets its defaults, calls decode with a pointer
// to its struct of keys, checks them and reads the files they name. It does no other
// I/O. No error contains a secret.
type Kind func(decode func(any) error, env Env) (Action, error)

// Builtin returns the kinds of this package by their names in the key "type", in a
// new map. All exec actions made from one map share its limit of concurrent programs.
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

// Permanent is an error that a retry cannot fix.
type Permanent struct{ Err error }

func (p *Permanent) Error() string { return p.Err.Error() }

// Unwrap returns p.Err.
func (p *Permanent) Unwrap() error { return p.Err }

// RetryAfter is an error of a receiver that said when to retry.
type RetryAfter struct {
	// After is the shortest time to wait from now.
	After time.Duration
	Err   error
}

func (r *RetryAfter) Error() string { return r.Err.Error() }

// Unwrap returns r.Err.
func (r *RetryAfter) Unwrap() error { return r.Err }

// Unreachable is an error of an attempt that cannot have been delivered: no
// connection was made, or it broke before the receiver could accept anything. A quick
// retry is cheap and notifies nobody twice. An answer of any kind is not Unreachable.
type Unreachable struct{ Err error }

func (u *Unreachable) Error() string { return u.Err.Error() }

// Unwrap returns u.Err.
func (u *Unreachable) Unwrap() error { return u.Err }

// checkTimeout returns the timeout of one attempt, with the default in place of zero.
func checkTimeout(d time.Duration) (time.Duration, error) {
	switch {
	case d == 0:
		return DefaultTimeout, nil
	case d < 0 || d > MaxTimeout:
		return 0, fmt.Errorf("timeout %v is out of range: give at most %v", d, MaxTimeout)
	}
	return d, nil
}
