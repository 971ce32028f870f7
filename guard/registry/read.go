package registry

import (
	"context"
	"fmt"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// GetService queries the inner registry, at most for the timeout. It fails at once
// while the inner registry is not open or too many queries are in flight.
func (r *Registry) GetService(name string, opts ...registry.GetOption) ([]*registry.Service, error) {
	var o registry.GetOptions
	for _, opt := range opts {
		opt(&o)
	}
	services, err := r.query(o.Context, func(inner registry.Registry) ([]*registry.Service, error) {
		return inner.GetService(name, opts...)
	})
	if err != nil {
		return nil, fmt.Errorf("looking up service %q: %w", name, err)
	}
	return services, nil
}

// ListServices queries the inner registry, with the limits of GetService.
func (r *Registry) ListServices(opts ...registry.ListOption) ([]*registry.Service, error) {
	var o registry.ListOptions
	for _, opt := range opts {
		opt(&o)
	}
	services, err := r.query(o.Context, func(inner registry.Registry) ([]*registry.Service, error) {
		return inner.ListServices(opts...)
	})
	if err != nil {
		return nil, fmt.Errorf("listing services: %w", err)
	}
	return services, nil
}

// result is that of a query.
type result struct {
	services []*registry.Service
	err      error
}

// query sends one query to the inner registry. The goroutine that waits for the
// answer holds its slot until the answer arrives, so that queries to a registry that
// never answers are refused and do not pile up.
func (r *Registry) query(ctx context.Context, send func(registry.Registry) ([]*registry.Service, error)) ([]*registry.Service, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	inner := r.openRegistry()
	if inner == nil {
		return nil, r.notOpenError()
	}
	select {
	case r.slots <- struct{}{}:
	default:
		return nil, r.cfg.wrap(fmt.Errorf("%d queries are already in flight", maxQueries))
	}
	results := make(chan result, 1)
	started := r.tasks.Go(func() {
		defer func() { <-r.slots }()
		var res result
		res.err = guard.CatchPanic(func() (err error) {
			res.services, err = send(inner)
			return err
		})
		results <- res
	})
	if !started {
		<-r.slots
		return nil, r.cfg.wrap(errStopped)
	}
	return r.await(ctx, results)
}

func (r *Registry) await(ctx context.Context, results <-chan result) ([]*registry.Service, error) {
	timer := time.NewTimer(r.cfg.Timeout)
	defer timer.Stop()
	select {
	case res := <-results:
		if res.err != nil {
			return nil, r.cfg.wrap(res.err)
		}
		return res.services, nil
	case <-timer.C:
		return nil, r.cfg.wrap(fmt.Errorf("no answer within %v", r.cfg.Timeout))
	case <-ctx.Done():
		return nil, r.cfg.wrap(ctx.Err())
	}
}

// openRegistry returns the inner registry, or nil if it is not open.
func (r *Registry) openRegistry() registry.Registry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inner
}

// notOpenError tells why the inner registry is not open.
func (r *Registry) notOpenError() error {
	if s := r.State(); s.Reason != "" {
		return guard.Reword(s.Reason, errNotOpen)
	}
	return r.cfg.wrap(errNotOpen)
}
