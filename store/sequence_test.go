package store

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// script reads operations from the bytes of a fuzz test.
type script struct{ data []byte }

func (p *script) next(n int) int {
	if len(p.data) == 0 {
		return 0
	}
	b := p.data[0]
	p.data = p.data[1:]
	return int(b) % n
}

// event makes an event of a small fleet, with the odd values that publishers
// send.
func (p *script) event() Event {
	// now and then a timestamp far off, or none at all
	offsets := []int64{0, 0, 0, 1, -1, -2, -5, -10, -20, 5, 299, 301, -299, -301, -4000, -4010,
		math.MaxInt64 / 2, math.MinInt64 / 2}
	x := p.next(256)
	ev := Event{
		Kind:    []Kind{KindCheck, KindCheck, KindStatus, KindStats}[x%4],
		Source:  healthpb.HealthCheck_Source(x / 4 % 3),
		Service: fmt.Append(nil, "service-", x/12%2), Version: fmt.Append(nil, x/24%2),
		Node:   fmt.Append(nil, "node-", p.next(3)),
		Status: int32(p.next(4)), Body: fmt.Append(nil, "body-", p.next(5)),
		Timestamp: time.Now().Unix() + offsets[p.next(len(offsets))],
		Interval:  []int64{10, 10, 1, 2, 60, 0, math.MaxInt64}[p.next(7)],
		TTL:       []int64{3600, 1, 30, 0, math.MaxInt64, math.MinInt64}[p.next(6)],
	}
	if ev.Kind == KindCheck {
		ev.ID = fmt.Append(nil, "id-", x%3)
		ev.Description = fmt.Append(nil, "about ", x%2)
	}
	return ev
}

// run plays a script on a store and the model, within a bubble.
func (p *script) run(t testing.TB) {
	s, m := New(roomy()), newModel()
	var old []Event
	waits := []int{1, 2, 4, 8, 20, 40, 60, 240, 14400, 4 * 90000}
	for len(p.data) > 0 {
		switch op := p.next(8); {
		case op < 5:
			ev := p.event()
			p.put(t, s, m, ev)
			old = append(old, ev)
		case op == 5 && len(old) > 0: // a repeated event
			p.put(t, s, m, old[p.next(len(old))])
		case op == 6 && len(old) > 0 && p.next(8) == 0:
			ev := old[p.next(len(old))]
			want := m.forget(keyOf(&ev))
			if got := s.Forget(&ev); got != want {
				t.Fatalf("Forget(%+v) = %t, want %t", ev, got, want)
			}
		case op == 6:
			sleepTicks(waits[p.next(len(waits))])
		default:
			sleepTicks(1 + p.next(40))
		}
	}
	m.compare(t, s)
	verify(t, s)
	sleepTicks(4 * 3600 * 24 * 4)
	for _, ev := range old {
		p.put(t, s, m, ev)
	}
	m.compare(t, s)
	verify(t, s)
	for range 3 { // the longest ttl that is believed, and then the retention
		sleepTicks(4 * (maxTTL + 3600))
		s.advance()
	}
	if c := s.Counters(); c.Services+c.Nodes+c.Checks+c.Statuses+c.Stats != 0 {
		t.Fatalf("after days of silence there are left: %+v", c)
	}
	verify(t, s)
}

func (p *script) put(t testing.TB, s *Store, m *model, ev Event) {
	t.Helper()
	want := m.put(ev)
	if got := s.Put(&ev); got != want {
		t.Fatalf("Put(%+v) = %d, want %d", ev, got, want)
	}
}

// FuzzEventSequence plays any sequence of events and silence, and compares the
// store with a model that looks at everything all the time.
// Faults: T63, I7.
func FuzzEventSequence(f *testing.F) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for n := range 40 {
		data := make([]byte, 20*(n+1))
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4000 {
			return
		}
		synctest.Test(t, func(t *testing.T) { (&script{data}).run(t) })
	})
}
