package delivery

import "time"

// ReceiverStatus describes how a receiver is doing, for lists, pages and metrics.
type ReceiverStatus struct {
	Name string `json:"name"`
	// Kind is the type of its action, such as "mail".
	Kind string `json:"kind"`
	// OK is false from an attempt that failed or was refused to the next one that
	// succeeds. Since is when that last changed: at first, when the receiver was added.
	OK    bool      `json:"ok"`
	Since time.Time `json:"since"`
	// Pending counts the notifications that are not delivered yet, including those in
	// flight.
	Pending int `json:"pending"`
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
	Next time.Time `json:"next_attempt,omitzero"`
	// Outcomes and Latency are for metrics.
	Outcomes Outcomes `json:"-"`
	Latency  Latency  `json:"-"`
}

// Status returns the current status of the receiver.
func (r *Receiver) Status() ReceiverStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := ReceiverStatus{
		Name:     r.name,
		Kind:     kindOf(r.action),
		OK:       !r.failing,
		Since:    r.since,
		Pending:  r.queue.depth,
		InFlight: r.inFlight,
		Attempts: r.attempts,
		Retried:  r.retried,
		Counts:   r.queue.counts,
		Failures: r.failures,

		LastSuccess: r.lastSuccess,
		LastFailure: r.lastFailure,
		LastError:   r.lastError,

		Outcomes: r.outcomes,
		Latency:  r.latency.copy(),
	}
	if r.failures > 0 && r.queue.hasWork() {
		s.Next = r.d.clock.Wall(r.retryAt)
	}
	return s
}

// kindOf returns the kind of an action, or nothing if the action does not say.
func kindOf(a any) string {
	if k, ok := a.(interface{ Kind() string }); ok {
		return k.Kind()
	}
	return ""
}
