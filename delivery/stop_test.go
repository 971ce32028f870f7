package delivery

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// The end of Run's context is not the end of the attempts: one that heeds its own
// context is left alone for as long as a stop may take, and then told why.
func TestAttemptUnderWayOutlivesTheBeginOfAStop(t *testing.T) {
	for takes, want := range map[time.Duration]string{3 * time.Second: "fail:1", 8 * time.Second: ""} {
		t.Run(takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cause error
				f := newFake(false, func(ctx context.Context, _ int, _ []action.Notification) error {
					select {
					case <-time.After(takes):
						return nil
					case <-ctx.Done():
						cause = context.Cause(ctx)
						return ctx.Err()
					}
				})
				d, stop := deliver(t, Options{})
				d.Add("r", f).Enqueue(fail("m", "1"))
				synctest.Wait()
				took, err := stop()
				if limit := min(takes, 7*time.Second); err != nil || took != limit {
					t.Errorf("stopping took %v, %v, want %v", took, err, limit)
				}
				told, _ := f.taken()
				if words(told) != want || (cause != nil) != (want == "") || errors.Is(cause, context.Canceled) {
					t.Errorf("told %q with the cause %v, want %q", words(told), cause, want)
				}
			})
		})
	}
}
