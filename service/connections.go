package service

import (
	"fmt"
	"time"

	"github.com/microhq/monitor-srv/connlimit"
)

// port is one that the instance listens on, with the state of its connections.
type port struct {
	name  string
	state func() connlimit.State
}

// connectionsComponent fails while a port is full. Newcomers still get in, because idle
// connections give way; so an instance is ready without it.
func connectionsComponent(ports ...port) component {
	return component{
		name: "connections", description: "every port has room for new connections",
		look: func() condition {
			sum := condition{OK: true}
			for _, p := range ports {
				s := p.state()
				if s.Full {
					return condition{Since: s.Since, Reason: fmt.Sprintf("the %s port is %s", p.name, describeFull(s))}
				}
				if s.Since.After(sum.Since) {
					sum.Since = s.Since
				}
			}
			return sum
		},
	}
}

// accepting is the condition of a port that serves since a time: it fails while new
// connections are refused.
func accepting(since time.Time, s connlimit.State) condition {
	if s.Refusing {
		return condition{Since: s.Since, Reason: describeFull(s)}
	}
	return condition{OK: true, Since: since}
}

// describeFull says that a port is full, by whom, and what becomes of newcomers.
func describeFull(s connlimit.State) string {
	what := "idle ones are closed for new ones"
	if s.Refusing {
		what = "all are being served, new ones are refused"
	}
	return fmt.Sprintf("full: %d of %d connections are open, %d of them from %v; %s", s.Held, s.Max, s.OfMost, s.Most, what)
}
