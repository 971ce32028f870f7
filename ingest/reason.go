package ingest

// reason is why an event is rejected.
type reason uint8

const (
	accepted reason = iota
	tooLarge
	badContentType
	malformed
	noService
	noNode
	noID
	badIdentity
	internal
	reasons
)

// String returns the name of the reason in counters and log lines.
func (r reason) String() string {
	return [...]string{
		accepted:       "accepted",
		tooLarge:       "too_large",
		badContentType: "content_type",
		malformed:      "malformed",
		noService:      "no_service",
		noNode:         "no_node",
		noID:           "no_id",
		badIdentity:    "bad_identity",
		internal:       "internal",
	}[r]
}

// rejection is a reason with the place in the message. The zero value means accepted.
type rejection struct {
	reason reason
	place  string
}

// repair is a kind of repair of an accepted event.
type repair uint8

const (
	repairUTF8 repair = iota
	repairCut
	repairResults
	repairMetrics
	repairEndpoints
	repairNodes
	repairAddress
	repairEnum
	repairCount
)

// String returns the name of the repair in counters.
func (r repair) String() string {
	return [...]string{
		repairUTF8:      "invalid_utf8",
		repairCut:       "text_cut",
		repairResults:   "results_left_out",
		repairMetrics:   "bad_metrics",
		repairEndpoints: "endpoints_summed",
		repairNodes:     "more_than_one_node",
		repairAddress:   "bad_address",
		repairEnum:      "unknown_enum",
	}[r]
}

// repairs is a set. Each repair counts once for an event.
type repairs uint16

func (s *repairs) add(r repair)     { *s |= 1 << r }
func (s repairs) has(r repair) bool { return s&(1<<r) != 0 }
