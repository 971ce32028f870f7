package delivery

import "time"

// ReceiverStatus describes how a receiver is doing, for pages and metrics.
type ReceiverStatus struct {
	Receiver string `json:"receiver"`
	// Depth counts the pending notifications, including those in flight.
	Depth int `json:"depth"`
	// InFlight counts the attempts in progress.
	InFlight int `json:"in_flight"`
	// Attempts counts attempts. Retried counts those of them that failed and are
	// repeated.
	Attempts uint64 `json:"attempts"`
	Retried  uint64 `json:"retried"`
	Counts
	// Failures counts the failed attempts since the last successful one.
	Failures int `json:"failures"`
	// LastSuccess and LastFailure are zero if there was none.
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastFailure time.Time `json:"last_failure,omitzero"`
	// LastError is the error of LastFailure: one line without secrets.
	LastError string `json:"last_error,omitempty"`
	// Next is the time of the next attempt. It is zero unless the receiver failed
	// and notifications are pending.
	Next time.Time `json:"next,omitzero"`
}

// Status returns the current status of the receiver.
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
