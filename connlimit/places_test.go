package connlimit

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// crowd takes places of p and notes who lost theirs.
type crowd struct {
	p    *Places
	lost map[*Place]bool
}

func newCrowd(limits Limits) *crowd {
	return &crowd{p: NewPlaces(limits), lost: make(map[*Place]bool)}
}

// take takes a place a second after the one before.
func (c *crowd) take(address string) *Place {
	time.Sleep(time.Second)
	var place *Place
	place = c.p.Take(Source(address), func() { c.lost[place] = true })
	return place
}

// takeMany takes n places.
func (c *crowd) takeMany(n int, address string) []*Place {
	var all []*Place
	for range n {
		all = append(all, c.take(address))
	}
	return all
}

// loses reports which place is lost when a newcomer takes one.
func (c *crowd) loses(t *testing.T, address string, want *Place, why string) *Place {
	t.Helper()
	clear(c.lost)
	place := c.take(address)
	switch {
	case place == nil:
		t.Errorf("%s: a newcomer from %s got no place", why, address)
	case want == nil && len(c.lost) != 0:
		t.Errorf("%s: a newcomer from %s took a place, want none taken", why, address)
	case want != nil && !c.lost[want]:
		t.Errorf("%s: a newcomer from %s took another place", why, address)
	}
	return place
}

// Faults: S5.
func TestIdlePlacesGiveWayToNewcomers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(Limits{Max: 10, Share: 2})
		other := c.take("192.0.2.9:1")
		most := c.takeMany(9, "192.0.2.1:1")
		c.loses(t, "192.0.2.2:1", most[0], "the longest idle of the address with most")
		most[1].Serve()
		c.loses(t, "192.0.2.2:1", most[2], "one that is served stays")
		most[1].Wait()
		c.loses(t, "192.0.2.1:1", most[3], "the address with most takes from itself")
		for _, o := range most {
			o.Release()
		}
		for i := range 4 {
			c.loses(t, fmt.Sprintf("198.51.100.%d:1", i), nil, "there is room")
		}
		for i := range 2 {
			c.loses(t, fmt.Sprintf("203.0.113.%d:1", i), nil, "there is room")
		}
		c.loses(t, "203.0.113.9:1", other, "with all within their shares the longest idle goes")
		if s := c.p.State(); s.Held != 10 || s.Taken != 4 || s.Refused != 0 {
			t.Errorf("got %+v", s)
		}
	})
}

func TestUsualShareIsASixteenth(t *testing.T) {
	for most, want := range map[int]int{1: 1, 16: 1, 1024: 64} {
		if got := NewPlaces(Limits{Max: most}).limits.Share; got != want {
			t.Errorf("the share of %d is %d, want %d", most, got, want)
		}
	}
}

func TestServedPlacesAreNeverTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(Limits{Max: 3, Share: 1})
		all := c.takeMany(3, "192.0.2.1:1")
		for _, o := range all {
			o.Serve()
		}
		if c.take("192.0.2.2:1") != nil || len(c.lost) != 0 {
			t.Error("a newcomer got the place of somebody who is served")
		}
		if s := c.p.State(); !s.Full || !s.Refusing || s.Refused != 1 {
			t.Errorf("got %+v, want it full and refusing", s)
		}
		all[2].Wait()
		c.loses(t, "192.0.2.2:1", all[2], "one is idle again")
	})
}

// Clients that keep a connection for their calls do not notice when it is closed, so a
// call fails.
// Faults: S5.
func TestPlacesInUseOutliveThoseThatOnlyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(Limits{Max: 16, Share: 16})
		client := c.take("127.0.0.1:1")
		client.used()
		client.used()
		for i, o := range c.takeMany(1000, "127.0.0.1:1") {
			if i%2 == 0 {
				o.used() // a call on each does not help
			}
		}
		if c.lost[client] {
			t.Error("a connection in use gave way to idle ones")
		}
		// Nor do many calls, beyond seven places of eight.
		c.p.mu.Lock()
		for o := range c.p.held {
			o.used()
			o.used()
		}
		c.p.mu.Unlock()
		c.loses(t, "127.0.0.1:1", client, "all are in use")
		newcomer := c.take("127.0.0.1:1")
		c.takeMany(1, "127.0.0.1:1")
		if c.lost[newcomer] {
			t.Error("newcomers push out each other while old ones keep all places")
		}
	})
}

// Faults: T67.
func TestStrictShareHoldsAlsoWithRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(Limits{Max: 10, Share: 3, Strict: true})
		mine := c.takeMany(3, "192.0.2.1:1")
		mine[0].Serve()
		c.loses(t, "192.0.2.2:1", nil, "another address")
		fourth := c.loses(t, "192.0.2.1:1", mine[1], "the longest idle of its own")
		mine[2].Serve()
		fourth.Serve()
		if c.take("192.0.2.1:1") != nil {
			t.Error("an address holds more than its share")
		}
		if s := c.p.State(); s.Full || s.Refusing || s.OfMost != 3 || s.Most != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("got %+v, want no more than one address at its share", s)
		}
	})
}

func TestNeighboursOfIPv6ShareTheirPlaces(t *testing.T) {
	for want, remotes := range map[string][]string{
		"192.0.2.1":      {"192.0.2.1:5", "[::ffff:192.0.2.1]:5"},
		"2001:db8:0:1::": {"[2001:db8:0:1:2:3:4:5]:5", "[2001:db8:0:1:f::1]:80"},
		"2001:db8:0:2::": {"[2001:db8:0:2::1]:5"},
		"2001:db8::":     {"2001:db8::1"},
		"fe80::":         {"[fe80::1%eth0]:5"},
		"invalid IP":     {"pipe", ""},
	} {
		for _, remote := range remotes {
			if got := Source(remote).String(); got != want {
				t.Errorf("%q counts as %s, want %s", remote, got, want)
			}
		}
	}
}

// Faults: S5.
func TestStateTellsWhenPlacesAreFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(Limits{Max: 2, Share: 1})
		began := time.Now()
		want := func(full bool, since time.Time) {
			t.Helper()
			if s := c.p.State(); s.Full != full || !s.Since.Equal(since) || s.Refusing {
				t.Errorf("got full %v since %v, want %v since %v", s.Full, s.Since, full, since)
			}
		}
		first := c.take("192.0.2.1:1")
		want(false, began)
		c.take("192.0.2.1:1")
		full := time.Now()
		want(true, full)
		third := c.take("192.0.2.2:1")
		want(true, full)
		first.Release() // has lost its place already
		want(true, full)
		third.Release()
		third.Release()
		left := time.Now()
		time.Sleep(settle - 1)
		want(true, full)
		time.Sleep(time.Nanosecond)
		want(false, left.Add(settle))
		c.take("192.0.2.2:1")
		want(true, time.Now())
	})
}

func TestMethodsOfNoPlaceDoNothing(t *testing.T) {
	var p *Place
	p.Wait()
	p.Serve()
	p.Release()
	var c *Conn
	c.Headed()
	c.Wait()
	c.Serve()
	if c.Source().IsValid() {
		t.Error("no connection has an address")
	}
}

// Attackers who come back at once, none of them above its share, must not take the
// place of somebody who has not spoken yet.
//
// Faults: S5.
func TestReturningAttackersTakeNoPlaceOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(Limits{Max: 512, Share: 64, Strict: true})
		for i := range 511 {
			c.take(fmt.Sprintf("192.0.2.%d:1", i%10))
		}
		honest := c.take("198.51.100.1:1")
		for i := range 2000 {
			c.take(fmt.Sprintf("192.0.2.%d:1", i%10))
		}
		if c.lost[honest] {
			t.Error("the one connection of an address was given to one of those with 51")
		}
	})
}
