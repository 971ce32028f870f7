package registry

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// Watch returns at once, also while the inner registry is not open. Next waits for
// the inner registry and replaces an inner watch that breaks, so it fails only with
// registry.ErrWatcherStopped: after Stop, after the end of the context given by
// registry.WatchContext, or after the end of Run. A replaced inner watch may repeat
// results.
func (r *Registry) Watch(opts ...registry.WatchOption) (registry.Watcher, error) {
	var o registry.WatchOptions
	for _, opt := range opts {
		opt(&o)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ended:
		return nil, registry.ErrWatcherStopped
	case len(r.watches) >= maxWatches:
		return nil, fmt.Errorf("watching service %q: %d watches are already open", o.Service, maxWatches)
	}
	w := &watch{reg: r, opts: slices.Clone(opts)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	r.watches[w] = true
	if o.Context != nil {
		w.release = context.AfterFunc(o.Context, w.Stop)
	}
	return w, nil
}

// watch outlives its inner watches. It has no goroutine: Next waits in that of its
// caller.
type watch struct {
	reg    *Registry
	opts   []registry.WatchOption
	ctx    context.Context
	cancel context.CancelFunc
	// release stops waiting for the end of the caller's context. Nil without one.
	release func() bool
	retry   guard.Backoff // used by Next alone

	mu    sync.Mutex
	inner registry.Watcher // guarded by mu; nil if there is none
}

// Next waits for the next change. It must not be called concurrently.
func (w *watch) Next() (*registry.Result, error) {
	for w.ctx.Err() == nil {
		inner, err := w.attach()
		if err == nil {
			var res *registry.Result
			if res, err = inner.Next(); err == nil {
				w.retry.Reset()
				return res, nil
			}
			w.drop(inner)
		}
		w.reg.cfg.Logger.Debug("registry watch failed, starting a new one", "error", guard.ErrorText(err))
		guard.Pause(w.ctx, w.retry.Next(w.reg.cfg.RetryMin, w.reg.cfg.RetryMax))
	}
	return nil, registry.ErrWatcherStopped
}

// Stop ends the watch and a pending Next.
func (w *watch) Stop() {
	w.cancel()
	w.reg.mu.Lock()
	delete(w.reg.watches, w)
	release := w.release
	w.reg.mu.Unlock()
	if release != nil {
		release()
	}
	w.mu.Lock()
	inner := w.inner
	w.mu.Unlock()
	if inner != nil {
		w.drop(inner)
	}
}

// attach returns the inner watch. It starts one if there is none.
func (w *watch) attach() (registry.Watcher, error) {
	select {
	case <-w.reg.opened:
	case <-w.ctx.Done():
		return nil, registry.ErrWatcherStopped
	}
	w.mu.Lock()
	inner := w.inner
	w.mu.Unlock()
	if inner != nil {
		return inner, nil
	}
	inner, err := w.reg.openRegistry().Watch(w.opts...)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.inner = inner
	w.mu.Unlock()
	if w.ctx.Err() != nil { // Stop was called meanwhile and may have missed it
		w.drop(inner)
		return nil, registry.ErrWatcherStopped
	}
	return inner, nil
}

// drop stops an inner watch, once.
func (w *watch) drop(inner registry.Watcher) {
	w.mu.Lock()
	mine := w.inner == inner
	if mine {
		w.inner = nil
	}
	w.mu.Unlock()
	if mine {
		inner.Stop()
	}
}
