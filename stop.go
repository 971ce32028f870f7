package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of a stop. Together they stay below the ten seconds that container
// engines allow before they kill.
const (
	drainTimeout = 4 * time.Second // for calls in flight
	queueTimeout = time.Second     // for events that wait
	leaveTimeout = 2 * time.Second // for registry and broker, each
	stopTimeout  = 9500 * time.Millisecond
)

// maxHeartbeat keeps the promise to be registered again soon after a registry
// came back empty, whatever the interval of registration.
const maxHeartbeat = 5 * time.Second

// actors are the running parts.
type actors struct {
	web, registry, broker, store, events, service, reporter, probes, deliverer, ledger, guardian, reload *actor
}

func (a actors) all() []*actor {
	return []*actor{a.reporter, a.reload, a.probes, a.deliverer, a.ledger, a.guardian, a.service, a.broker, a.registry, a.events, a.store, a.web}
}

// stop ends the actors in order, within stopTimeout in all.
func (i *instance) stop(a actors) error {
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

func (i *instance) stopInOrder(ctx context.Context, a actors) error {
	// The reporter takes two seconds at most to say STOPPED.
	if err := a.reporter.stop(); err != nil {
		i.log.Warn("our own stop could not be told", "err", err)
	}
	errs := []error{a.reload.stop(), a.probes.stop()}
	told := make(chan error, 1)
	go func() { told <- a.deliverer.stop() }()
	errs = append(errs, a.service.stop(), i.events.Unsubscribe())
	if err := <-told; err != nil {
		i.log.Warn("actions were cut off", "err", err)
	}
	kept := make(chan error, 1) // a disk that hangs keeps nothing else from ending
	go func() { kept <- a.ledger.stop() }()
	left := make(chan error, 1)
	go func() {
		leave, cancel := context.WithTimeout(ctx, leaveTimeout)
		defer cancel()
		left <- i.registry.DeregisterAll(leave)
	}()
	if err := i.broker.Disconnect(); err != nil {
		i.log.Warn("the broker was not left in order", "err", err)
	}
	if err := <-left; err != nil {
		i.log.Warn("the registry was not left in order", "err", err)
	}
	for _, a := range []*actor{a.broker, a.registry, a.events, a.store, a.web, a.guardian} {
		errs = append(errs, a.stop())
	}
	errs = append(errs, <-kept)
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool { return err == nil })...)
}
