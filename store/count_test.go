package store

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestNamesOfStatusesAreThoseOfTheMessages(t *testing.T) {
	nodes, checks := StatusNames()
	if nodes != [4]string{"UNKNOWN", "STARTED", "RUNNING", "STOPPED"} || checks != [4]string{"UNKNOWN", "OK", "ERROR", "WARNING"} {
		t.Errorf("got %v and %v", nodes, checks)
	}
}

func TestCountsOfServicesAreThoseOfQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Share: 1})
		seed := uint32(1)
		random := func(n uint32) int { seed = seed*1664525 + 1013904223; return int((seed >> 8) % n) }
		for range 3000 {
			service, node := fmt.Sprint("s", random(3*maxCounted)), fmt.Sprint("n", random(3))
			ev := check(node, fmt.Sprint("c", random(4)), int32(random(4)), 0)
			if random(4) == 0 {
				ev = status(node, int32(random(4)), 0)
			}
			ev.TTL = int64(20 + random(60))
			s.Put(ev.of(service, "1"))
			time.Sleep(time.Duration(random(50)) * time.Millisecond)
		}
		s.Believe("s7", "n1", true)
		all := s.CountServices()
		if len(all) != 3*maxCounted {
			t.Fatalf("%d services", len(all))
		}
		for i, got := range all {
			if i > 0 && all[i-1].Service >= got.Service {
				t.Errorf("%s is not in order", got.Service)
			}
			if want := countByQueries(t, s, got.Service); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
	})
}

// countByQueries counts by one query for each status.
func countByQueries(t *testing.T, s *Store, service string) ServiceCounts {
	t.Helper()
	c := ServiceCounts{Service: service, Believed: service == "s7"}
	total := func(name string, missing, ofNodes bool) int {
		q := Query{Service: service, Missing: missing}
		if ofNodes {
			err := q.SelectNodeStatuses(name)
			page, err2 := s.Nodes(q)
			mustBeNil(t, err, err2)
			return page.Total
		}
		err := q.SelectStatuses(name)
		page, err2 := s.Checks(q)
		mustBeNil(t, err, err2)
		return page.Total
	}
	nodes, checks := StatusNames()
	for i := range nodes {
		c.Nodes[i], c.Checks[i] = total(nodes[i], false, true), total(checks[i], false, false)
	}
	c.MissingNodes, c.MissingChecks = total("UNKNOWN", true, true)-c.Nodes[0], total("UNKNOWN", true, false)-c.Checks[0]
	return c
}

func mustBeNil(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
