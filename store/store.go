// Package store is being written.
package store

import (
	"context"
	"errors"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

var (
	// ErrNotFound says that the service, node or check asked for is not known.
	ErrNotFound = errors.New("not found")
	// ErrBadCursor says that the cursor was not made by this store.
	ErrBadCursor = errors.New("bad cursor")
)

// Config holds the caps.
type Config struct{}

// Store holds the view.
type Store struct{}

// New returns an empty store.
func New(cfg Config) *Store { return &Store{} }

// Run judges silence once a second until ctx ends.
func (s *Store) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Put takes one event.
func (s *Store) Put(e *Event) Outcome { return Accepted }

// Checks answers with checks; ErrNotFound if q names a service, node or id that is not known.
func (s *Store) Checks(q Query) (Page[Check], error) { return Page[Check]{}, nil }

// Nodes answers with one row for each node that published a status.
func (s *Store) Nodes(q Query) (Page[NodeStatus], error) { return Page[NodeStatus]{}, nil }

// Summary answers with one row for each version.
func (s *Store) Summary(q Query) (Page[NodeStatus], error) { return Page[NodeStatus]{}, nil }

// Stats answers with the newest figures of each node.
func (s *Store) Stats(q Query) (Page[NodeStats], error) { return Page[NodeStats]{}, nil }

// Services answers with the versions heard of.
func (s *Store) Services(q Query) (Page[Version], error) { return Page[Version]{}, nil }

// History answers with transitions before beforeSeq (all if zero), newest first, whether more match, and the oldest seq held.
func (s *Store) History(q TransitionQuery, beforeSeq int64) (ts []Transition, more bool, oldest int64, err error) {
	return nil, false, 0, nil
}

// After answers with transitions after since, oldest first, the seq to go on from, and whether some were lost.
func (s *Store) After(q TransitionQuery, since int64) (ts []Transition, next int64, gap bool) {
	return nil, 0, false
}

// Wait returns once there is a transition after since, or with the error of ctx.
func (s *Store) Wait(ctx context.Context, since int64) error { <-ctx.Done(); return ctx.Err() }

// Counters returns what was counted.
func (s *Store) Counters() Counters { return Counters{} }

// Started returns when the store was made.
func (s *Store) Started() time.Time { return time.Time{} }

// Proto returns the check as a message.
func (c Check) Proto() *healthpb.HealthCheck { return nil }

// AppendWire appends the wire bytes of the message of Proto.
func (c Check) AppendWire(b []byte) []byte { return b }

// Proto returns the status as a message.
func (n NodeStatus) Proto() *healthpb.Status { return nil }

// Proto returns the figures as a message.
func (n NodeStats) Proto() *healthpb.Stats { return nil }

// Proto returns the version as a message.
func (v Version) Proto() *healthpb.Service { return nil }
