package guard

import (
	"sync"
	"time"
)

// State tells whether a part is well, and since when it is so.
type State struct {
	OK    bool
	Since time.Time
	// Reason says what is wrong, in one line without secrets; empty if OK.
	Reason string
}

// health keeps a State. Its zero value is not usable; see newHealth.
type StateTracker struct {
	mu    sync.Mutex
	state State // guarded by mu
}

func NewStateTracker(reason string) *StateTracker {
	return &StateTracker{state: State{Since: time.Now(), Reason: reason}}
}

// set records that the part is well if err is nil, else what is wrong. Since
// moves only when OK changes. It tells whether OK changed.
func (h *StateTracker) Record(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	ok := err == nil
	changed := ok != h.state.OK
	if changed {
		h.state = State{OK: ok, Since: time.Now()}
	}
	h.state.Reason = ""
	if err != nil {
		h.state.Reason = ErrorText(err)
	}
	return changed
}

func (h *StateTracker) State() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}
