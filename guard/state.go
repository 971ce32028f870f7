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
type health struct {
	mu    sync.Mutex
	state State // guarded by mu
}

func newHealth(reason string) *health {
	return &health{state: State{Since: time.Now(), Reason: reason}}
}

// set records that the part is well if err is nil, else what is wrong. Since
// moves only when OK changes. It tells whether OK changed.
func (h *health) set(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	ok := err == nil
	changed := ok != h.state.OK
	if changed {
		h.state = State{OK: ok, Since: time.Now()}
	}
	h.state.Reason = ""
	if err != nil {
		h.state.Reason = errorText(err)
	}
	return changed
}

func (h *health) get() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}
