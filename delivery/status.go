package delivery

import "time"

// State is how a receiver does, for pages and metrics.
type ReceiverStatus struct {
	Receiver string `json:"receiver"`
	// Depth counts the notices that wait, those being told included.
	Depth int `json:"depth"`
	// InFlight counts the attempts under way.
	InFlight int `json:"in_flight"`
	// Attempts counts attempts, Retried those of them that failed and are made
	// again.
	Attempts uint64 `json:"attempts"`
	Retried  uint64 `json:"retried"`
	Counts
	// Failures counts the attempts that failed since the last that did not.
	Failures int `json:"failures"`
	// LastSuccess and LastFailure are zero if there was none.
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastFailure time.Time `json:"last_failure,omitzero"`
	// LastError is the error of LastFailure: one line without secrets.
	LastError string `json:"last_error,omitempty"`
	// Next is when the next attempt begins, if the receiver failed and something
	// waits.
	Next time.Time `json:"next,omitzero"`
}

// State returns how the receiver does at the moment.
func (r *Receiver) Status() ReceiverStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := ReceiverStatus{
		Receiver: r.name,
		Depth:    r.queue.depth,
		InFlight: r.inFlight,
		Attempts: r.attempts,
		Retried:  r.retried,
		Counts:   r.queue.counts,
		Failures: r.failures,

		LastSuccess: r.lastSuccess,
		LastFailure: r.lastFailure,
		LastError:   r.lastError,
	}
	if r.failures > 0 && r.queue.hasWork() {
		s.Next = r.retryAt
	}
	return s
}
