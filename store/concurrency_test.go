package store

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// TestAnswersNeverChange: what a Query returned is read while events go on,
// under the race detector.
// Faults: A10, A11.
func TestAnswersNeverChange(t *testing.T) {
	s := still(Config{})
	body := []byte("\x4a\x05error")
	ev := check("n", "ping", ok, 0)
	ev.Body, ev.Address = body, []byte("10.0.0.1:80")
	mustPut(t, s, Accepted, ev)
	c := theCheck(t, s, Query{})
	before := c.Proto().String() + string(c.AppendWire(nil))
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 1000 {
			copy(body, fmt.Sprintf("\x4a\x05%05d", i)) // the publisher's buffer is used again
			copy(ev.ID, "pong")
			copy(ev.ID, "ping")
			copy(ev.Address, "99.9.9.9:99")
			ev.Status = int32(i % 4)
			s.Put(ev)
		}
	})
	for range 1000 {
		if after := c.Proto().String() + string(c.AppendWire(nil)); after != before {
			t.Fatalf("the answer changed to %q", after)
		}
	}
	wg.Wait()
	if c := theCheck(t, s, Query{}); c.Proto().Error != "00999" {
		t.Errorf("the newest error is %q", c.Proto().Error)
	}
}

// TestConcurrentUse calls everything at once, under the race detector.
func TestConcurrentUse(t *testing.T) {
	bubble(t, Config{MaxEntries: 300, MaxNodes: 60, Retention: tick}, func(t *testing.T, s *Store) {
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(w), 1))
				for range 400 {
					ev := check(fmt.Sprint("n", rnd.IntN(90)), fmt.Sprint("c", rnd.IntN(9)), int32(rnd.IntN(4)), 0)
					ev.Interval, ev.TTL, ev.Kind = 1, 1, Kind(rnd.IntN(3))
					s.Put(ev)
					if rnd.IntN(5) == 0 {
						sleepTicks(rnd.IntN(30))
					}
				}
			})
			wg.Go(func() {
				for range 200 {
					for _, q := range []Query{{}, {Node: "n1"}, {ID: "c1"}, {Missing: true}} {
						walk(t, s.Checks, q)
						walk(t, s.Services, q)
						walk(t, s.Summary, q)
						walk(t, s.Stats, q)
					}
					s.History(TransitionQuery{Node: "n1"}, 0)
					s.Counters()
					s.Refusals()
					sleepTicks(1)
				}
			})
		}
		wg.Wait()
		verify(t, s)
	})
}
