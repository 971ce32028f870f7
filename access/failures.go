package access

import (
	"net/netip"
	"sync"
	"time"
)

// Limits of guessing tokens.
const (
	// maxFailures per failureWindow are answered at once to one address.
	maxFailures   = 5
	failureWindow = time.Minute
	// maxAddresses bounds the memory, at about 200 bytes per address. A client with
	// more addresses is limited by the network only, which is too slow to guess a
	// token.
	maxAddresses = 4096
)

// failures counts wrong tokens by address. The zero value is ready.
type failures struct {
	mu     sync.Mutex
	recent map[netip.Addr]*recent // guarded by mu
}

// recent holds the times of the last failures, as a ring.
type recent struct {
	at   [maxFailures]time.Time
	next int
}

// newest returns the time of the last failure.
func (r *recent) newest() time.Time { return r.at[(r.next+maxFailures-1)%maxFailures] }

// add counts one failure, unless the last maxFailures of the address are not older than
// the window: then it returns how long that will be so.
func (f *failures) add(a netip.Addr, now time.Time) (wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.recent == nil {
		f.recent = make(map[netip.Addr]*recent)
	}
	r, ok := f.recent[a]
	if !ok {
		if len(f.recent) >= maxAddresses {
			f.makeRoom(now)
		}
		r = new(recent)
		f.recent[a] = r
	}
	if oldest := r.at[r.next]; !oldest.IsZero() && now.Sub(oldest) < failureWindow {
		return failureWindow - now.Sub(oldest)
	}
	r.at[r.next] = now
	r.next = (r.next + 1) % maxFailures
	return 0
}

// makeRoom removes the addresses whose failures have expired, or else the one whose
// last failure is the oldest. f.mu is held.
func (f *failures) makeRoom(now time.Time) {
	var oldest netip.Addr
	var when time.Time
	for a, r := range f.recent {
		at := r.newest()
		if now.Sub(at) >= failureWindow {
			delete(f.recent, a)
		} else if when.IsZero() || at.Before(when) {
			oldest, when = a, at
		}
	}
	if len(f.recent) >= maxAddresses {
		delete(f.recent, oldest)
	}
}
