package delivery

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// When the context of Run ends, an attempt in flight may go on for Options.Stop. Then
// its context ends with a cause.
func TestAttemptInFlightMayFinishDuringAStop(t *testing.T) {
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
				delivered, _ := f.taken()
				if formatAll(delivered) != want || (cause != nil) != (want == "") || errors.Is(cause, context.Canceled) {
					t.Errorf("delivered %q with the cause %v, want %q", formatAll(delivered), cause, want)
				}
			})
		})
	}
}
