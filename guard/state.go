package guard

import (
	"sync"
	"time"
)

// State tells whether a component works, and since when.
type State struct {
	OK    bool
	Since time.Time
	// Reason says what is wrong, in one line without secrets. It is empty if OK.
	Reason string
}

// StateTracker holds the State of a component. Use NewStateTracker to make one.
type StateTracker struct {
	mu    sync.Mutex
	state State // guarded by mu
}

// NewStateTracker returns a tracker whose state is not OK, for this reason.
func NewStateTracker(reason string) *StateTracker {
	return &StateTracker{state: State{Since: time.Now(), Reason: reason}}
}

// Record sets the state to OK if err is nil, and otherwise to the error. It reports
// whether OK changed; only then does Since change.
func (t *StateTracker) Record(err error) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ok := err == nil
	changed = ok != t.state.OK
	if changed {
		t.state = State{OK: ok, Since: time.Now()}
	}
	t.state.Reason = ""
	if err != nil {
		t.state.Reason = ErrorText(err)
	}
	return changed
}

// State returns the current state.
func (t *StateTracker) State() State {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}
