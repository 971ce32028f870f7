package store

import (
	"context"
	"errors"
	"sync"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

var (
	// ErrNotFound says that the service, node or check asked for is not known.
	ErrNotFound = errors.New("not found")
	// ErrBadCursor says that the cursor was not made by this store.
	ErrBadCursor = errors.New("bad cursor")
)

// Store holds the newest event of each key and what is judged about it. All its
// methods may be called at any time by anyone, and none holds the lock for
// longer than about a millisecond.
type Store struct {
	cfg     Config
	started time.Time
	ring    ring

	mu    sync.RWMutex // guards all that follows
	clock clock
	wheel wheel
	// The queues of what may be evicted, first in, first out.
	missing, retired list

	byName   table[*service]
	texts    texts
	marks    map[*entry]mark
	refused  sketch
	counters Counters
	bytes    int64 // sizes of all entries
	index
}

// index is all that is held, in every order that is asked for.
type index struct {
	checks, checksByID tree[*entry]
	statuses, stats    tree[*entry]
	nodes, nodesByID   tree[*node]
	versions           tree[*version]
	services           tree[*service]
}

func (x *index) init() {
	x.checks.keyOf, x.checksByID.keyOf = (*entry).key, (*entry).keyByID
	x.statuses.keyOf, x.stats.keyOf = (*entry).key, (*entry).key
	x.nodes.keyOf, x.nodesByID.keyOf = (*node).key, (*node).keyByID
	x.versions.keyOf, x.services.keyOf = (*version).key, (*service).key
}

// of returns the trees that hold entries of a kind.
func (x *index) of(kind Kind) []*tree[*entry] {
	switch kind {
	case KindCheck:
		return []*tree[*entry]{&x.checks, &x.checksByID}
	case KindStatus:
		return []*tree[*entry]{&x.statuses}
	}
	return []*tree[*entry]{&x.stats}
}

// New returns an empty store.
func New(cfg Config) *Store {
	s := &Store{cfg: cfg.withDefaults(), started: time.Now(), marks: make(map[*entry]mark)}
	s.clock.init()
	s.index.init()
	s.ring.init(s.cfg.Transitions, s.started.UnixMicro()+1)
	return s
}

// Started returns when the store was made.
func (s *Store) Started() time.Time { return s.started }

// Run judges silence four times a second until ctx ends, and returns nil then.
// Without it silence is judged at the next Put or Query only, and the time in
// which the process was frozen counts against the publishers.
func (s *Store) Run(ctx context.Context) error {
	s.setTicking(true)
	defer s.setTicking(false)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.advance()
		}
	}
}

func (s *Store) setTicking(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.last = s.clock.mono()
	s.clock.ticking = on
}

// Counters returns what was counted.
func (s *Store) Counters() Counters {
	s.advance()
	transitions := s.ring.recorded()
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := s.counters
	c.Transitions = transitions
	c.Services = s.services.count(allClasses)
	c.Nodes = s.nodes.count(allClasses)
	c.Checks = s.checks.count(allClasses)
	c.Statuses = s.statuses.count(allClasses)
	c.Stats = s.stats.count(allClasses)
	for status := range c.ChecksByStatus {
		q := Query{Statuses: []healthpb.HealthCheck_Status{healthpb.HealthCheck_Status(status)}}
		c.ChecksByStatus[status] = s.checks.count(checkClasses(&q))
	}
	c.MissingChecks = s.checks.count(missingClasses)
	c.Bytes = s.bytes
	return c
}

// History answers with the transitions that q selects before beforeSeq, or with
// all if that is zero, newest first; whether more match; and the seq of the
// oldest transition held. The error wraps ErrNotFound if none matches and q
// names something that is not known.
func (s *Store) History(q TransitionQuery, beforeSeq int64) (ts []Transition, more bool, oldest int64, err error) {
	s.advance()
	ts, more, oldest = s.ring.before(&q, beforeSeq, limitOf(q.Limit))
	if len(ts) == 0 {
		s.mu.RLock()
		defer s.mu.RUnlock()
		err = s.known(q.Service, q.Node, q.ID)
	}
	return ts, more, oldest, err
}

// After answers with the transitions that q selects after since, or with all
// that are held if since is zero, oldest first; the seq to go on from; and
// whether some were lost: because they are no longer held, or because since is
// of another run of the service.
func (s *Store) After(q TransitionQuery, since int64) (ts []Transition, next int64, gap bool) {
	s.advance()
	return s.ring.after(&q, since, limitOf(q.Limit))
}

// Wait returns nil once After has something to tell about since, to someone who
// selects everything, or the error of ctx. It relies on Run to notice silence.
func (s *Store) Wait(ctx context.Context, since int64) error { return s.ring.wait(ctx, since) }
