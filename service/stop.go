package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of a stop. Together they stay below the ten seconds that container
// engines allow before they kill.
const (
	queueTimeout = time.Second     // for events in the queue
	leaveTimeout = 2 * time.Second // for registry and broker, each
	stopTimeout  = 9500 * time.Millisecond
)

// actors are the running parts of an instance.
type actors struct {
	web, registry, broker, store, events, server, reporter, group, deliverer, state, guardian, files, known *actor
}

func (a actors) all() []*actor {
	return []*actor{a.reporter, a.files, a.group, a.deliverer, a.state, a.guardian, a.server, a.broker, a.registry, a.events, a.known, a.store, a.web}
}

// stop ends the actors in order, within stopTimeout in all.
func (i *Instance) stop(a actors) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- i.stopInOrder(ctx, a) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		var names []string
		for _, a := range a.all() {
			if !a.ended() {
				names = append(names, a.name)
			}
		}
		return fmt.Errorf("stopping took longer than %v: %s did not end", stopTimeout, strings.Join(names, ", "))
	}
}

func (i *Instance) stopInOrder(ctx context.Context, a actors) error {
	// The reporter takes at most two seconds to publish STOPPED.
	if err := a.reporter.stop(); err != nil {
		i.log.Warn("the stop of this instance could not be published", "err", err)
	}
	errs := []error{a.files.stop(), a.group.stop()}
	delivered := make(chan error, 1)
	go func() { delivered <- a.deliverer.stop() }()
	errs = append(errs, a.server.stop(), i.events.Unsubscribe())
	if err := <-delivered; err != nil {
		i.log.Warn("actions were cut off", "err", err)
	}
	written := make(chan error, 1) // a disk that hangs keeps nothing else from ending
	go func() { written <- a.state.stop() }()
	left := make(chan error, 1)
	go func() {
		leave, cancel := context.WithTimeout(ctx, leaveTimeout)
		defer cancel()
		left <- i.network.registry.DeregisterAll(leave)
	}()
	if err := i.network.broker.Disconnect(); err != nil {
		i.log.Warn("disconnecting from the broker failed", "err", err)
	}
	if err := <-left; err != nil {
		i.log.Warn("deregistering failed", "err", err)
	}
	for _, a := range []*actor{a.broker, a.registry, a.events, a.known, a.store, a.web, a.guardian} {
		errs = append(errs, a.stop())
	}
	errs = append(errs, <-written)
	return errors.Join(errs...)
}
