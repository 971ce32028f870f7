package store

import (
	"context"
	"errors"
	"sync"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

var (
	// ErrNotFound means that the service, node or check is unknown.
	ErrNotFound = errors.New("not found")
	// ErrBadCursor means that the cursor is not of this list.
	ErrBadCursor = errors.New("bad cursor")
)

// Store holds the newest event of each key and its verdict. It is safe for concurrent
// use. No method holds the lock for longer than about a millisecond.
type Store struct {
	cfg     Config
	started time.Time
	ring    ring

	mu    sync.RWMutex // guards all that follows
	clock clock
	wheel wheel
	// The queues of evictable entries, first in, first out.
	missing, retired list

	byName table[*service]
	texts  texts
	// beliefs are the nodes that Believe names, and with an empty node the services.
	beliefs map[belief]struct{}
	marks   map[*entry]mark
	refused sketch

	// What is known of former runs: resumed is the start of this one, silent since when
	// entries are silent that were stale then, former the nodes that this instance was,
	// and shared the strings of transitions until Resume.
	resumed time.Duration
	silent  map[*entry]time.Duration
	former  map[key]struct{}
	shared  map[string]string
	// changedNodes are those that NodeChanges returns.
	changedNodes map[key]struct{}

	counters Counters
	bytes    int64 // sizes of all entries
	index
}

// index is the content of the store in every order that queries need.
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

// of returns the trees with entries of a kind.
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
	s := &Store{cfg: cfg.withDefaults(), started: time.Now(), marks: make(map[*entry]mark), beliefs: make(map[belief]struct{}), silent: make(map[*entry]time.Duration), changedNodes: make(map[key]struct{})}
	s.clock.init()
	s.index.init()
	s.ring.init(s.cfg.Transitions, s.started.UnixMicro())
	return s
}

// Started returns when the store was made.
func (s *Store) Started() time.Time { return s.started }

// Run judges staleness four times a second until ctx ends, and then returns nil. Without
// Run, staleness is judged at the next Put or Query only, and the time in which the
// process was frozen counts against the publishers.
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

// Counters returns the counters of the store.
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

// History returns the transitions before beforeSeq that q selects, or all if that is
// zero, newest first; whether more match; and the seq of the oldest retained transition.
// The error wraps ErrNotFound if none matches and q names something unknown.
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

// After returns the transitions after since that q selects, or all if since is zero,
// oldest first; the seq to continue from; and whether some may be lost, because they are no
// longer retained or because since is of another run of the service: those between the
// last snapshot and the end of that run are.
func (s *Store) After(q TransitionQuery, since int64) (ts []Transition, next int64, gap bool) {
	s.advance()
	return s.ring.after(&q, since, limitOf(q.Limit))
}

// Wait returns nil when After would return a transition for since without a filter, or
// the error of ctx. It needs Run to notice staleness.
func (s *Store) Wait(ctx context.Context, since int64) error { return s.ring.wait(ctx, since) }
