package access

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Limits of guessing tokens.
const (
	// maxFailures per failureWindow are allowed from one address. After that, all its
	// calls with a token are refused.
	maxFailures   = 5
	failureWindow = time.Minute
	// maxAddresses bounds the memory, at about 200 bytes per address. A client with
	// more addresses is limited by the network only, which is too slow to guess a
	// token.
	maxAddresses = 4096
	// ipv6PrefixBits is the smallest network that an IPv6 customer is assigned.
	ipv6PrefixBits = 64
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

// wait returns the time for which the address is refused from now on, or 0.
func (f *failures) wait(a netip.Addr, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.recent[a]
	if !ok || r.at[r.next].IsZero() {
		return 0
	}
	return max(0, failureWindow-now.Sub(r.at[r.next]))
}

// add counts one failure.
func (f *failures) add(a netip.Addr, now time.Time) {
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
	r.at[r.next] = now
	r.next = (r.next + 1) % maxFailures
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

// Source returns the address that failures of a client at "IP:port" are counted for:
// its IP, or the /64 network for IPv6. Clients without a valid address share the zero
// one.
func Source(remoteAddr string) netip.Addr {
	a := ipOf(remoteAddr)
	if a.Is4() || !a.IsValid() {
		return a
	}
	p, err := a.Prefix(ipv6PrefixBits)
	if err != nil {
		return a
	}
	return p.Addr()
}

// ipOf returns the IP of "IP:port" or "IP", or the zero address.
func ipOf(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// Loopback reports whether a client at "IP:port" is on this machine.
func Loopback(remoteAddr string) bool { return ipOf(remoteAddr).IsLoopback() }
