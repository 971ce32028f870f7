package ingest

import "net/http"

// reason is why an event is rejected.
type reason uint8

const (
	accepted reason = iota
	tooLarge
	badContentType
	malformed
	badValue
	noService
	noNode
	noID
	badIdentity
	ownNode
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
		badValue:       "bad_value",
		noService:      "no_service",
		noNode:         "no_node",
		noID:           "no_id",
		badIdentity:    "bad_identity",
		ownNode:        "own_node",
		internal:       "internal",
	}[r]
}

// rejection is a reason with the place in the message. The zero value means accepted.
type rejection struct {
	reason reason
	place  string
}

// err returns what the publisher is told: nil for an accepted event and for one about the
// own node, which nearly always is the echo of our own.
func (r rejection) err() error {
	if r.reason == accepted || r.reason == ownNode {
		return nil
	}
	return rejectedError{r}
}

// rejectedError is a rejection as an error.
type rejectedError struct{ rejection }

// Error returns the reason and the place.
func (e rejectedError) Error() string {
	if e.reason == internal {
		return "internal error" // what happened is in the log
	}
	return e.reason.String() + ": " + e.place
}

// StatusCode returns the HTTP status of the answer of a broker that can give one.
func (e rejectedError) StatusCode() int {
	switch e.reason {
	case tooLarge:
		return http.StatusRequestEntityTooLarge
	case badContentType:
		return http.StatusUnsupportedMediaType
	case internal:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
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
