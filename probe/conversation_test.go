package probe

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestCancelledConversationDoesNotWaitForQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		defer ours.Close()
		stopping := errors.New("stopping")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer bindDeadline(ctx, ours)()
		cancel(stopping)
		synctest.Wait()
		rule, err := newReplyRule("", "error")
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		talk := &conversation{conn: ours, watch: startStopwatch()}
		err = withCause(ctx, talk.await(ctx, step{rule: rule}))
		if took := time.Since(begin); !errors.Is(err, stopping) || took != 0 {
			t.Errorf("%v after %v, want the cause at once", err, took)
		}
	})
}
