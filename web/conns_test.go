package web

import (
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// farConn is a connection from an address of the test's choice.
type farConn struct {
	net.Conn
	remote net.Addr
}

func (c farConn) RemoteAddr() net.Addr { return c.remote }

func from(t *testing.T, address string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return farConn{ours, a}
}

func TestConnectionsOfAnAddressPushOutEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newConns()
		var mine []*conn
		for range maxConnsOfAddress {
			c, evicted := all.add(from(t, "192.0.2.1:5"))
			if c == nil || evicted != nil {
				t.Fatalf("below the limit: %v, %v", c, evicted)
			}
			mine = append(mine, c)
			time.Sleep(time.Second)
		}
		mine[0].wait(false)
		other, evicted := all.add(from(t, "192.0.2.2:5"))
		if other == nil || evicted != nil {
			t.Fatalf("another address: %v, %v", other, evicted)
		}
		c, evicted := all.add(from(t, "192.0.2.1:5"))
		if c == nil || evicted != mine[1] {
			t.Fatal("at the limit: the oldest that is not served must go")
		}
		if got := all.of[c.source]; got != maxConnsOfAddress {
			t.Errorf("connections of the address: got %d, want %d", got, maxConnsOfAddress)
		}
		for o := range all.open {
			o.waiting = time.Time{}
		}
		if c, evicted := all.add(from(t, "192.0.2.1:5")); c != nil || evicted != nil {
			t.Errorf("at the limit with all served: got %v, %v", c, evicted)
		}
		// A second Close, or one after an eviction, counts nothing twice.
		for range 2 {
			for _, o := range append(mine, c, other) {
				o.Close()
			}
		}
		if len(all.open) != 0 || len(all.of) != 0 {
			t.Errorf("after all are closed: %d, %v", len(all.open), all.of)
		}
	})
}

func TestConnectionsInAllAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newConns()
		honest, _ := all.add(from(t, "[2001:db8:0:1::1]:5"))
		var crowd []*conn
		for i := range maxConns - 1 {
			time.Sleep(time.Millisecond)
			c, evicted := all.add(from(t, fmt.Sprintf("192.0.2.%d:5", i/2)))
			if c == nil || evicted != nil {
				t.Fatalf("connection %d: %v, %v", i, c, evicted)
			}
			crowd = append(crowd, c)
		}
		// One after the other, those of the addresses that have two.
		for i := range 100 {
			c, evicted := all.add(from(t, fmt.Sprintf("198.51.100.%d:5", i)))
			if c == nil || evicted == honest || evicted != crowd[2*i] {
				t.Fatalf("at the limit, %d: the oldest of an address that has most must go", i)
			}
		}
		// Of addresses that have one each, the oldest of all.
		for _, o := range crowd {
			o.Close()
		}
		for i := len(all.open); i < maxConns; i++ {
			all.add(from(t, fmt.Sprintf("203.0.%d.%d:5", i/200, i%200)))
		}
		if _, evicted := all.add(from(t, "192.0.2.1:5")); evicted != honest {
			t.Error("at the limit: the oldest must go")
		}
		if len(all.open) != maxConns {
			t.Errorf("open: got %d, want %d", len(all.open), maxConns)
		}
	})
}

func TestNeighboursOfIPv6ShareTheirConnections(t *testing.T) {
	all := newConns()
	for i := range maxConnsOfAddress {
		if _, evicted := all.add(from(t, fmt.Sprintf("[2001:db8:0:1::%x]:5", i))); evicted != nil {
			t.Fatal("below the limit")
		}
	}
	if _, evicted := all.add(from(t, "[2001:db8:0:1:ffff::1]:5")); evicted == nil {
		t.Error("the same /64 has more than its share")
	}
	if _, evicted := all.add(from(t, "[2001:db8:0:2::1]:5")); evicted != nil {
		t.Error("another /64 is at the limit too")
	}
}

func TestUsualTimeoutsAreThoseOfTheThreatModel(t *testing.T) {
	want := timeouts{5 * time.Second, 10 * time.Second, 30 * time.Second, 60 * time.Second}
	if got := usual(); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	w := newWorld(t, options{})
	if w.server.timeouts != want {
		t.Errorf("a Server has %v, want %v", w.server.timeouts, want)
	}
}
