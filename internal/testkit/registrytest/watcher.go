package registrytest

import (
	"sync"

	"go-micro.dev/v4/registry"
)

// Watcher is a registry.Watcher whose Next returns what a test sends to Results and
// Errors.
type Watcher struct {
	Results chan *registry.Result
	Errors  chan error
	Stopped chan struct{} // closed by Stop

	once sync.Once
}

// NewWatcher returns a Watcher.
func NewWatcher() *Watcher {
	return &Watcher{Results: make(chan *registry.Result), Errors: make(chan error), Stopped: make(chan struct{})}
}

// Next implements registry.Watcher.
func (w *Watcher) Next() (*registry.Result, error) {
	select {
	case r := <-w.Results:
		return r, nil
	case err := <-w.Errors:
		return nil, err
	case <-w.Stopped:
		return nil, registry.ErrWatcherStopped
	}
}

// Stop implements registry.Watcher.
func (w *Watcher) Stop() { w.once.Do(func() { close(w.Stopped) }) }
