package state

import "time"

// Health reports whether something can be written.
type Health struct {
	// OK is set while changes are persisted in time.
	OK bool
	// Since is when OK last changed.
	Since time.Time
	// Reason is the last error while OK is not set.
	Reason string
}
