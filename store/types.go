package store

import (
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// Kind is the kind of an Event or a Transition.
type Kind uint8

// The kinds of events, one for each topic of the bus.
const (
	KindCheck Kind = iota
	KindStatus
	KindStats
)

// Event is one validated message. Its identity is (Service, Version, Node, ID) within
// its Kind. The store copies what it retains, so the slices may point into a buffer that
// is reused after Put returns.
type Event struct {
	Kind   Kind
	Source healthpb.HealthCheck_Source

	Service, Version, Node []byte
	// Address as host:port and Metadata, as the wire bytes of that field of a Node,
	// replace the node's former ones unless they are empty.
	Address, Metadata []byte

	// ID and Description of a check; empty for other kinds.
	ID, Description []byte

	// Status is a HealthCheck_Status for a check, a Status_Status for a status,
	// and zero for stats.
	Status int32

	// Timestamp is in unix seconds of the publisher's clock. Zero or less means now, and
	// never older than the entry. Interval and TTL are in seconds as published; Put
	// clamps them.
	Timestamp, Interval, TTL int64

	// Body holds the wire bytes of the fields the store does not look into: results
	// and error of a HealthCheck, info of a Status, usage and endpoints of Stats.
	Body []byte
}

// Outcome is the result of Put.
type Outcome uint8

// The outcomes of Put. Only Accepted changes answers.
const (
	Accepted Outcome = iota
	// Outdated events are older than their entry.
	Outdated
	// Refused events have a new key for which there is no room.
	Refused
)

// Check is the state of one health check at the time of the Query. It is immutable.
type Check struct {
	Service, Version, Node, Address string
	ID, Description                 string

	// Status as judged, Reported as published.
	Status, Reported healthpb.HealthCheck_Status
	Source           healthpb.HealthCheck_Source

	// Unix seconds; Timestamp by the publisher's clock, the others by ours.
	Timestamp, Received, Since int64
	// Age is the time since the event arrived, by the monotonic clock, with the time
	// between two runs and without that in which the process was frozen.
	Age time.Duration
	// Interval and TTL after clamping.
	Interval, TTL time.Duration

	// Missing is set after TTL without an event, Stopped if its node reported STOPPED
	// after this report, Skewed if Timestamp was more than five minutes off our clock.
	Missing, Stopped, Skewed bool

	metadata string // of the node, see Event.Metadata
	body     string // wire bytes, see Event.Body
}

// NodeStatus is the state of one node, or the summary of a version's nodes.
type NodeStatus struct {
	Service, Version string
	// Node is empty in a summary.
	Node, Address string

	Status, Reported           healthpb.Status_Status
	Timestamp, Received, Since int64
	Interval, TTL              time.Duration
	Missing, Skewed            bool

	// Counts of nodes by judged status, indexed by Status_Status; in a summary
	// only.
	Counts [4]int

	metadata string // of the node, see Event.Metadata
	body     string // wire bytes, see Event.Body
}

// NodeStats are the newest stats of one node.
type NodeStats struct {
	Service, Version, Node, Address string
	Timestamp, Received             int64
	Age                             time.Duration // as that of a Check
	Interval, TTL                   time.Duration
	Missing, Stopped, Skewed        bool // as those of a Check
	Stale                           bool // the next stats are overdue

	metadata string // of the node, see Event.Metadata
	body     string // wire bytes, see Event.Body
}

// Version is one version of a service with its nodes, by id.
type Version struct {
	Service, Version string
	Nodes            []Node
}

// Node is one node of a Version.
type Node struct {
	ID, Address string
	// Conflict is set if another service or version claims the same id.
	Conflict bool

	metadata string // see Event.Metadata
}

// Query selects a page of entries. The zero Query selects the first 10 live checks.
type Query struct {
	// Service, Node and ID select by exact match unless empty.
	Service, Node, ID string
	// Statuses and Sources select checks of any of them, NodeStatuses nodes; all if empty.
	Statuses     []healthpb.HealthCheck_Status
	Sources      []healthpb.HealthCheck_Source
	NodeStatuses []healthpb.Status_Status
	// Missing also selects missing entries, which are UNKNOWN, and without Statuses those
	// of stopped nodes.
	Missing bool

	// Limit is DefaultLimit if zero, and at most MaxLimit. Offset counts matching
	// entries.
	Limit, Offset int
	// Cursor is the Next of the previous page, or empty. It excludes Offset.
	Cursor string
}

// Limits of a page. 10 was the default of the service of 2016.
const (
	DefaultLimit = 10
	MaxLimit     = 1000
)

// Page is one page of entries, sorted by service, version, node and id.
type Page[T any] struct {
	Items []T
	// Total is the number of matching entries on all pages.
	Total int
	// Next is the cursor of the next page, empty on the last one.
	Next string
}

// Transition is one change of a verdict.
type Transition struct {
	// Seq grows by one with each transition of a run. It starts at the microseconds of
	// the clock when the store was made, or above the last one that was restored, so that
	// it also grows over restarts.
	Seq  int64
	Time time.Time

	// Kind is KindCheck or KindStatus; ID is empty for a status.
	Kind                       Kind
	Service, Version, Node, ID string

	// From and To are names of statuses, MISSING or FORGOTTEN.
	From, To string
	// Why is for people. Error is the error that the check reported.
	Why, Error string
}

// TransitionQuery selects transitions by service, node and check id, each by exact match
// unless empty.
type TransitionQuery struct {
	Service, Node, ID string
	// Limit is DefaultLimit if zero, and at most MaxLimit.
	Limit int
}

// Counters of a store since it was made. The numbers of services, nodes, entries and
// bytes are current.
type Counters struct {
	Accepted, Outdated, Refused uint64
	// Trimmed counts updates without their results, for lack of room.
	Trimmed            uint64
	Skewed, Conflicts  uint64
	Transitions        uint64
	Evicted, Forgotten uint64

	Services, Nodes         int
	Checks, Statuses, Stats int
	// ChecksByStatus counts live checks by judged status, MissingChecks the missing ones.
	ChecksByStatus [4]int
	MissingChecks  int
	// Bytes is the size of all bodies and descriptions.
	Bytes int64
}
