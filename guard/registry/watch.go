package registry

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// Watch returns at once and needs no registry yet. Next waits for the inner
// registry and starts a new inner watch when one breaks, so it fails only with
// registry.ErrWatcherStopped: after Stop, the end of the context given by
// registry.WatchContext, or the end of Run. An inner watch that was broken and
// started anew may repeat what it has told.
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
		return nil, fmt.Errorf("watching service %q: %d watches are open already", o.Service, maxWatches)
	}
	w := &regWatch{reg: r, opts: slices.Clone(opts)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	r.watches[w] = true
	if o.Context != nil {
		w.release = context.AfterFunc(o.Context, w.Stop)
	}
	return w, nil
}

// regWatch is a watch that outlives the inner watches under it. It has no
// goroutine: whoever calls Next does the waiting.
type regWatch struct {
	reg    *Registry
	opts   []registry.WatchOption
	ctx    context.Context
	cancel context.CancelFunc
	// release ends the watching of the caller's context; nil if there is none.
	release func() bool
	retry   guard.Backoff // used by Next alone

	mu    sync.Mutex
	inner registry.Watcher // guarded by mu; nil while there is none
}

// Next waits for the next change. It is meant for one caller at a time.
func (w *regWatch) Next() (*registry.Result, error) {
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
		w.reg.cfg.Logger.Debug("registry watch broke", "error", guard.ErrorText(err))
		pause(w.ctx, w.retry.Next(w.reg.cfg.RetryMin, w.reg.cfg.RetryMax))
	}
	return nil, registry.ErrWatcherStopped
}

// Stop ends the watch and a Next that waits.
func (w *regWatch) Stop() {
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

// attach gives the inner watch, a new one if there is none.
func (w *regWatch) attach() (registry.Watcher, error) {
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
	inner, err := w.reg.current().Watch(w.opts...)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.inner = inner
	w.mu.Unlock()
	if w.ctx.Err() != nil { // Stop came meanwhile and may have missed it
		w.drop(inner)
		return nil, registry.ErrWatcherStopped
	}
	return inner, nil
}

// drop stops an inner watch, once.
func (w *regWatch) drop(inner registry.Watcher) {
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
