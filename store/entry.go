package store

import (
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// state of an entry.
type state uint8

const (
	// live entries are as reported.
	live state = iota
	// stale entries have had no event in time and are judged UNKNOWN.
	stale
	// stopped checks and stats are those of a node that reported STOPPED.
	stopped
	// missing entries have had no event for longer than their ttl.
	missing
	// retired statuses are STOPPED and older than their ttl. They are evicted after the
	// missing entries.
	retired
)

// evictable reports whether an entry may be evicted. Evictable entries are in a queue,
// all others in the wheel.
func (s state) evictable() bool { return s >= missing }

// text is a string that many entries share: an id or a description of a check.
type text struct {
	value string
	// number is never used twice, and orders the checks of a node.
	number uint64
	uses   int
	place  int // among the checks of the node it was last found in
}

// entry is the newest event of one key with its verdict. It takes 96 bytes, one of Go's
// size classes. It is changed in place, under the lock. Its strings are immutable and may
// leave the store.
type entry struct {
	node            *node
	id, description *text  // of a check
	body            string // wire bytes, see Event.Body

	next, prev *entry // in the list of the entry

	timestamp int64
	arrival   time.Duration // by the store's clock

	received, since uint32 // unix seconds
	due             uint32 // tick of the list of the entry

	claimedTTL      uint32   // seconds
	claimedInterval interval // see interval and ttl for what is believed
	kind            Kind
	// status and reported are a HealthCheck_Status or a Status_Status, both of
	// which have four values.
	status, reported uint8
	source           uint8
	state            state
	skewed           bool
}

// slot is one check of a node.
type slot struct {
	number uint64 // of the id
	entry  *entry
}

// node is one node of a version, with all its entries.
type node struct {
	version               *version
	id, address, metadata string

	status, stats *entry
	checks        []slot // by number

	listed, pinned int32 // entries that a Query without Missing lists; that are not evictable
	conflict       bool
	// believed nodes have a witness besides their own events, see Store.Believe.
	believed bool
	// vouched nodes were believed for themselves when a former run ended. So they are
	// until somebody says otherwise.
	vouched bool
	// proven nodes have reported again after their first events.
	proven bool
}

// version is one version of a service.
type version struct {
	service *service
	name    string
	nodes   table[*node]

	listed int // nodes with a listed entry
	// The statuses of its nodes: counts by status, the number of missing ones, and the
	// times of the last event.
	counts                     [4]int
	missing                    int
	timestamp, received, since int64
}

// service is all versions of one name.
type service struct {
	name                   string
	versions               table[*version]
	nodes, entries, pinned int // pinned: entries that are not evictable
	believed, proven       int // nodes that are
}

// The orders in which the trees hold entries, nodes and so on.

func (e *entry) key() key {
	n := e.node
	k := key{n.version.service.name, n.version.name, n.id}
	if e.id != nil {
		k[3] = e.id.value
	}
	return k
}

func (e *entry) keyByID() key {
	n := e.node
	return key{e.id.value, n.version.service.name, n.version.name, n.id}
}

func (n *node) key() key     { return key{n.version.service.name, n.version.name, n.id} }
func (n *node) keyByID() key { return key{n.id, n.version.service.name, n.version.name} }
func (v *version) key() key  { return key{v.service.name, v.name} }
func (s *service) key() key  { return key{s.name} }

// worst returns the worst status with a count, UNKNOWN if there is none. A node that was
// stopped on purpose is no worse than one that runs.
func worst(counts [4]int) healthpb.Status_Status {
	for _, status := range []healthpb.Status_Status{
		healthpb.Status_UNKNOWN, healthpb.Status_STARTED, healthpb.Status_RUNNING, healthpb.Status_STOPPED,
	} {
		if counts[status] > 0 {
			return status
		}
	}
	return healthpb.Status_UNKNOWN
}
