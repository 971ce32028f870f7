package web

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"
)

// Bounds of changes. A stop or an unregistration is answered within two seconds,
// whatever the probe does. A registration may wait for the disk.
const (
	maxChanges      = 64
	changeTimeout   = 1500 * time.Millisecond
	registerTimeout = 8 * time.Second
)

// within makes a change and returns its result, or an error if the change takes longer
// than d. The change then continues.
func within[T any](s *Server, d time.Duration, change func() (T, error)) (T, error) {
	var none T
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case s.slots <- struct{}{}:
	case <-timer.C:
		return none, &statusError{http.StatusServiceUnavailable, errors.New("too many changes are in progress: nothing was done; try again")}
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	s.changes.Go(func() {
		defer func() { <-s.slots }()
		var res result
		defer func() {
			if v := recover(); v != nil {
				s.cfg.Log.Error("changing a monitor panicked", "panic", v, "stack", string(debug.Stack()))
				res.err = &statusError{http.StatusInternalServerError, errors.New("the change failed: see the log of the service")}
			}
			done <- res
		}()
		res.value, res.err = change()
	})
	select {
	case res := <-done:
		return res.value, res.err
	case <-timer.C:
		return none, &statusError{
			http.StatusServiceUnavailable,
			fmt.Errorf("the change takes longer than %v and continues: check /list before trying again", d),
		}
	}
}

// awaitChanges waits for the changes in progress, up to shutdownTimeout: they run code
// of probes and actions.
func (s *Server) awaitChanges() {
	done := make(chan struct{})
	go func() {
		s.changes.Wait()
		close(done)
	}()
	timer := time.NewTimer(shutdownTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		s.cfg.Log.Warn("changes of monitors still in progress at shutdown")
	}
}
