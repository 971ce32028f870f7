package access

import (
	"context"
	"errors"
	"time"

	"github.com/microhq/monitor-srv/connlimit"
)

const (
	// guessDelay is when the answer to one wrong token too many comes.
	guessDelay = time.Second
	// maxDelayed bounds the answers that are delayed at a time. Each occupies a
	// connection.
	maxDelayed = 16
)

// Caller is a client that requests a change.
type Caller struct {
	Role Role
	// Owner identifies the client for the limits of registrations, see Policy.Owner.
	Owner string
	// Remote is the client's address, "IP:port".
	Remote string
}

// Door is a port whose callers may have tokens. It counts wrong ones by address. A right
// token always passes, whatever came from its address before, because others may share
// the address. Its methods may be called concurrently.
type Door struct {
	policy   Policy
	log      *Log
	failures failures
	delayed  chan struct{}
}

// NewDoor returns a Door for a policy. Wrong tokens are written to log.
func NewDoor(policy Policy, log *Log) *Door {
	return &Door{policy: policy, log: log, delayed: make(chan struct{}, maxDelayed)}
}

// Caller identifies a client by its token, or "" for none, and its address "IP:port". It
// fails with ErrNoToken, ErrForbidden, ErrUnauthorized or, a second later, ErrTooMany.
// The Caller has the address even then.
func (d *Door) Caller(ctx context.Context, token, remote string) (Caller, error) {
	c := Caller{Remote: remote}
	var err error
	c.Role, err = d.policy.identify(token, remote)
	switch {
	case err == nil:
		c.Owner = d.policy.Owner(c.Role, token)
	case token != "" && errors.Is(err, ErrUnauthorized):
		// A call without a token is not a guess.
		err = d.guessed(ctx, remote, err)
	}
	return c, err
}

// guessed counts a wrong token and returns the error for its client.
func (d *Door) guessed(ctx context.Context, remote string, err error) error {
	wait := d.failures.add(connlimit.Source(remote), time.Now())
	if wait <= 0 {
		d.log.wrongToken(remote)
		return err
	}
	select {
	case d.delayed <- struct{}{}:
		defer func() { <-d.delayed }()
		timer := time.NewTimer(guessDelay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	default:
	}
	return &TooManyError{wait}
}

// Allow returns nil if the caller has at least the role need, else the error of Caller
// or an ErrForbidden with the reason. Every caller has the role None.
func (d *Door) Allow(ctx context.Context, need Role, token, remote string) error {
	if need == None {
		return nil
	}
	c, err := d.Caller(ctx, token, remote)
	if err != nil {
		return err
	}
	return Enough(c.Role, need)
}
