package probe

import (
	"context"
	"net"
	"time"
)

const (
	// maxUDP is the largest packet there is. Some servers send more than was
	// requested.
	maxUDP = 64 << 10
	// firstResend is when a packet without an answer is sent again; each further wait
	// is twice the one before. In a shorter probe it is a quarter of its time.
	firstResend = time.Second
)

// resend says how long to wait for an answer over UDP until the packet is sent again.
type resend struct{ wait time.Duration }

func newResend(ctx context.Context) *resend {
	wait := firstResend
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)/4)
	}
	return &resend{wait}
}

// next returns the next wait.
func (r *resend) next() time.Duration {
	wait := r.wait
	r.wait *= 2
	return wait
}

// waitUntil lets reads wait for that long, or until ctx ends.
func waitUntil(ctx context.Context, conn net.Conn, wait time.Duration) error {
	until := time.Now().Add(wait)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	if err := conn.SetReadDeadline(until); err != nil {
		return err
	}
	// A context that ended before the deadline was set has set its own in vain.
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// over reports whether ctx has ended, or is about to.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && time.Until(deadline) < clockSkew
}
