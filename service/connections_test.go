package service

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/connlimit"
)

// An instance whose port is full is ready as long as new connections get in.
// Faults: S5.
func TestFullPortIsShownAndARefusingOneIsNotReady(t *testing.T) {
	early, late := time.Now(), time.Now().Add(time.Hour)
	free := connlimit.State{Held: 3, Max: 10, Since: early}
	full := connlimit.State{Held: 10, Max: 10, Full: true, Since: late, Most: netip.MustParseAddr("192.0.2.1"), OfMost: 9}
	refusing := full
	refusing.Refusing = true
	look := func(s connlimit.State) condition {
		return connectionsComponent(port{"HTTP", func() connlimit.State { return free }}, port{"RPC", func() connlimit.State { return s }}).look()
	}
	for _, c := range []struct {
		s      connlimit.State
		ready  bool
		reason string
	}{
		{free, true, ""},
		{full, true, "the RPC port is full: 10 of 10 connections are open, 9 of them from 192.0.2.1; idle ones are closed for new ones"},
		{refusing, false, "the RPC port is full: 10 of 10 connections are open, 9 of them from 192.0.2.1; all are being served, new ones are refused"},
	} {
		if got := look(c.s); got.OK != (c.reason == "") || got.Reason != c.reason || !got.Since.Equal(c.s.Since) {
			t.Errorf("got %+v, want %q", got, c.reason)
		}
		if got := accepting(early, c.s); got.OK != c.ready || !c.ready && !strings.HasSuffix(c.reason, got.Reason) {
			t.Errorf("got %+v, want ready %v", got, c.ready)
		}
	}
}
