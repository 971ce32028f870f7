package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// GetService asks the inner registry, for at most the timeout. It fails at once
// while there is no inner registry, or too many questions wait already.
func (r *Registry) GetService(name string, opts ...registry.GetOption) ([]*registry.Service, error) {
	var o registry.GetOptions
	for _, opt := range opts {
		opt(&o)
	}
	services, err := r.ask(o.Context, func(inner registry.Registry) ([]*registry.Service, error) {
		return inner.GetService(name, opts...)
	})
	if err != nil {
		return nil, fmt.Errorf("looking up service %q: %w", name, err)
	}
	return services, nil
}

// ListServices asks the inner registry, under the same limits as GetService.
func (r *Registry) ListServices(opts ...registry.ListOption) ([]*registry.Service, error) {
	var o registry.ListOptions
	for _, opt := range opts {
		opt(&o)
	}
	services, err := r.ask(o.Context, func(inner registry.Registry) ([]*registry.Service, error) {
		return inner.ListServices(opts...)
	})
	if err != nil {
		return nil, fmt.Errorf("listing services: %w", err)
	}
	return services, nil
}

// answer is what came of a question.
type answer struct {
	services []*registry.Service
	err      error
}

// ask puts one question to the inner registry. The goroutine that waits for the
// answer keeps its slot until the answer is there, so that questions to a registry
// that never answers are refused rather than piled up.
func (r *Registry) ask(ctx context.Context, question func(registry.Registry) ([]*registry.Service, error)) ([]*registry.Service, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	inner := r.current()
	if inner == nil {
		return nil, r.absence()
	}
	select {
	case r.slots <- struct{}{}:
	default:
		return nil, r.cfg.named(fmt.Errorf("%d questions are waiting already", maxQuestions))
	}
	got := make(chan answer, 1)
	started := r.task(func() {
		defer func() { <-r.slots }()
		var a answer
		a.err = guard.CatchPanic(func() (err error) {
			a.services, err = question(inner)
			return err
		})
		got <- a
	})
	if !started {
		<-r.slots
		return nil, r.cfg.named(errors.New("stopped already"))
	}
	return r.await(ctx, got)
}

func (r *Registry) await(ctx context.Context, got <-chan answer) ([]*registry.Service, error) {
	timer := time.NewTimer(r.cfg.Timeout)
	defer timer.Stop()
	select {
	case a := <-got:
		if a.err != nil {
			return nil, r.cfg.named(a.err)
		}
		return a.services, nil
	case <-timer.C:
		return nil, r.cfg.named(fmt.Errorf("no answer within %v", r.cfg.Timeout))
	case <-ctx.Done():
		return nil, r.cfg.named(ctx.Err())
	}
}

func (r *Registry) current() registry.Registry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inner
}

// absence says why there is no inner registry.
func (r *Registry) absence() error {
	if s := r.State(); s.Reason != "" {
		return guard.WithText(s.Reason, errNotOpen)
	}
	return r.cfg.named(errNotOpen)
}
