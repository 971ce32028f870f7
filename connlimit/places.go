package connlimit

import (
	"cmp"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// settle is how long Places count as full after they were.
const settle = 10 * time.Second

// Limits of Places.
type Limits struct {
	// Max bounds the places in all.
	Max int
	// Share is what an address may hold; 0: a sixteenth of Max. What it holds beyond, it
	// loses first; once all places are held, so is what it holds beyond an equal part of
	// them, but no less than eight.
	Share int
	// Strict means that no address holds more than its share, also while there is room.
	Strict bool
}

// Places are what clients share.
type Places struct {
	limits Limits
	began  time.Time

	mu       sync.Mutex
	held     map[*Place]struct{} // guarded by mu
	of       map[netip.Addr]int  // guarded by mu
	fullFrom time.Time           // guarded by mu; when all were held first
	fullTo   time.Time           // guarded by mu; when all were held last
	noRoom   time.Time           // guarded by mu; when a client was last refused for want of room
	refused  uint64              // guarded by mu
	taken    uint64              // guarded by mu
	broken   atomic.Uint64
}

// NewPlaces returns Places that nobody holds.
func NewPlaces(limits Limits) *Places {
	limits.Share = cmp.Or(limits.Share, max(1, limits.Max/16))
	return &Places{limits: limits, began: time.Now(), held: make(map[*Place]struct{}), of: make(map[netip.Addr]int)}
}

// Place is what one client holds. The service waits for the client, or serves it. The
// methods of a nil Place do nothing.
type Place struct {
	all    *Places
	source netip.Addr
	give   func()
	// waiting is since when the service has been waiting for the client, in nanoseconds
	// from the start of all, and 0 while it serves the client.
	waiting atomic.Int64
	// uses counts requests when they come: the client may have the answer before the
	// service has noted that it was sent.
	uses atomic.Int32
}

// Take gives a place to a client of an address, or returns nil if there is none. The
// service waits for the client at first. give is called, at most once, when a newcomer
// takes the place; it must not block.
func (p *Places) Take(source netip.Addr, give func()) *Place {
	place, from := p.take(source, give)
	if from != nil {
		from.give()
	}
	return place
}

func (p *Places) take(source netip.Addr, give func()) (place, from *Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.limits.Strict && p.of[source] >= p.limits.Share
	full := len(p.held) >= p.limits.Max
	if own || full {
		if from = p.victim(source, own); from == nil {
			p.refused++
			if full {
				p.noRoom = time.Now()
			}
			return nil, nil
		}
		p.taken++
		p.remove(from)
	}
	place = &Place{all: p, source: source, give: give}
	place.Wait()
	p.held[place] = struct{}{}
	p.of[source]++
	if len(p.held) >= p.limits.Max {
		now := time.Now()
		if now.Sub(p.fullTo) >= settle {
			p.fullFrom = now
		}
		p.fullTo = now
	}
	return place, from
}

// victim returns the place that a newcomer takes, or nil. p.mu is held.
func (p *Places) victim(source netip.Addr, own bool) *Place {
	if own {
		return p.idlest(func(o *Place) bool { return o.source == source })
	}
	if most, n := p.most(); n > p.fair() {
		if from := p.idlest(func(o *Place) bool { return o.source == most }); from != nil {
			return from
		}
	}
	return p.idlest(func(*Place) bool { return true })
}

// fewest is what an address may always hold before others lose theirs.
const fewest = 8

// fair is what an address may hold while newcomers need room: its share, or less if
// many addresses hold their shares. Else those who come back faster than others can
// speak would take the places of everybody. p.mu is held.
func (p *Places) fair() int {
	return min(p.limits.Share, max(p.limits.Max/max(len(p.of), 1), fewest))
}

// idlest returns the place that has waited longest of those that match, or nil. Places
// that were used again go last. If nearly all were, the longest idle of them goes, so
// that an eighth is left for newcomers. p.mu is held.
func (p *Places) idlest(match func(*Place) bool) *Place {
	type group struct {
		size  int
		first *Place
		since int64
	}
	var fresh, used group
	for o := range p.held {
		since := o.waiting.Load()
		if since == 0 || !match(o) {
			continue
		}
		g := &fresh
		if o.uses.Load() > 1 {
			g = &used
		}
		g.size++
		if g.first == nil || since < g.since {
			g.first, g.since = o, since
		}
	}
	if fresh.first == nil || used.size > 7*fresh.size {
		return used.first
	}
	return fresh.first
}

// most returns the address with the most places. p.mu is held.
func (p *Places) most() (most netip.Addr, n int) {
	for a, of := range p.of {
		if of > n || of == n && a.Less(most) {
			most, n = a, of
		}
	}
	return most, n
}

// remove takes a place away from its holder. p.mu is held.
func (p *Places) remove(o *Place) {
	if _, ok := p.held[o]; !ok {
		return
	}
	if len(p.held) >= p.limits.Max {
		p.fullTo = time.Now()
	}
	delete(p.held, o)
	if p.of[o.source]--; p.of[o.source] == 0 {
		delete(p.of, o.source)
	}
}

// Release gives a place back. It may be called again.
func (o *Place) Release() {
	if o == nil {
		return
	}
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	o.all.remove(o)
}

// Wait notes that the service waits for the client from now on, unless it does already.
func (o *Place) Wait() { o.wait() }

func (o *Place) wait() (began bool) {
	return o != nil && o.waiting.CompareAndSwap(0, o.all.now())
}

// waitAnew notes that the service waits from now on: a header has arrived.
func (o *Place) waitAnew() { o.waiting.Store(o.all.now()) }

// now is the time in the unit of Place.waiting, never 0.
func (p *Places) now() int64 { return int64(time.Since(p.began)) + 1 }

// waits reports whether the service has been waiting for the client for d.
func (o *Place) waits(d time.Duration) bool {
	since := o.waiting.Load()
	return since != 0 && time.Duration(o.all.now()-since) >= d
}

// Serve notes that the service does not wait for the client.
func (o *Place) Serve() {
	if o != nil {
		o.waiting.Store(0)
	}
}

// used notes that a request has come.
func (o *Place) used() { o.uses.Add(1) }

// State is what is held of Places.
type State struct {
	// Full is true while all places are held, and for ten seconds after: newcomers take
	// the places of others.
	Full bool
	// Refusing is true for ten seconds after a client was refused because everybody who
	// holds a place was being served.
	Refusing bool
	// Since is when Full last changed.
	Since time.Time
	// Held and Max are numbers of places.
	Held, Max int
	// Most is the address that holds the most, OfMost how many.
	Most   netip.Addr
	OfMost int
	// Refused and Taken count clients that got no place, and those that lost theirs to a
	// newcomer.
	Refused, Taken uint64
	// Broken counts connections closed because the header of a request was malformed, too
	// long or too slow.
	Broken uint64
}

// State returns the state of p.
func (p *Places) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	s := State{
		Held: len(p.held), Max: p.limits.Max, Since: p.began,
		Refused: p.refused, Taken: p.taken, Broken: p.broken.Load(),
		Refusing: !p.noRoom.IsZero() && now.Sub(p.noRoom) < settle,
	}
	s.Most, s.OfMost = p.most()
	switch {
	case p.fullTo.IsZero():
	case s.Held >= s.Max || now.Sub(p.fullTo) < settle:
		s.Full, s.Since = true, p.fullFrom
	default:
		s.Since = p.fullTo.Add(settle)
	}
	return s
}
