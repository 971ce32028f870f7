package service

import (
	"context"
	"fmt"
	"runtime/debug"
)

// An actor is one running part of an instance, with its goroutine.
type actor struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // set before done is closed
}

// startActor starts an actor. The end of ctx does not stop it: actors are stopped one
// by one. If it fails or panics it sends the error to failed.
func startActor(ctx context.Context, name string, run func(context.Context) error, failed chan<- error) *actor {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a := &actor{name: name, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		defer func() {
			if r := recover(); r != nil {
				a.err = fmt.Errorf("%s: panic: %v\n%s", name, r, debug.Stack())
			}
			if a.err != nil && ctx.Err() == nil {
				select {
				case failed <- a.err:
				default:
				}
			}
		}()
		if err := run(ctx); err != nil {
			a.err = fmt.Errorf("%s: %w", name, err)
		}
	}()
	return a
}

// stop asks the actor to end and waits for it. It returns no error that was sent to
// failed already.
func (a *actor) stop() error {
	stopped := a.ended()
	a.cancel()
	<-a.done
	if stopped {
		return nil
	}
	return a.err
}

func (a *actor) ended() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}
