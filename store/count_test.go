package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func TestCountsOfServicesAreThoseOfQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Share: 1})
		random := rand.New(rand.NewPCG(1, 2))
		for range 3000 {
			service, node := fmt.Sprint("s", random.IntN(3*maxCounted)), fmt.Sprint("n", random.IntN(3))
			ev := check(node, fmt.Sprint("c", random.IntN(4)), int32(random.IntN(4)), 0)
			if random.IntN(4) == 0 {
				ev = status(node, int32(random.IntN(4)), 0)
			}
			ev.TTL = int64(20 + random.IntN(60))
			s.Put(ev.of(service, "1"))
			time.Sleep(time.Duration(random.IntN(50)) * time.Millisecond)
		}
		s.Believe("s7", "n1", true)
		all := s.CountServices()
		if len(all) != 3*maxCounted || !slices.IsSortedFunc(all, func(a, b ServiceCounts) int { return strings.Compare(a.Service, b.Service) }) {
			t.Fatalf("%d services", len(all))
		}
		for _, got := range all {
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
	for i := range 4 {
		nodes, err := s.Nodes(Query{Service: service, NodeStatuses: []healthpb.Status_Status{healthpb.Status_Status(i)}})
		checks, err2 := s.Checks(Query{Service: service, Statuses: []healthpb.HealthCheck_Status{healthpb.HealthCheck_Status(i)}})
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		c.Nodes[i], c.Checks[i] = nodes.Total, checks.Total
	}
	unknown := []healthpb.HealthCheck_Status{healthpb.HealthCheck_UNKNOWN}
	lost, err := s.Checks(Query{Service: service, Missing: true, Statuses: unknown})
	silent, err2 := s.Nodes(Query{Service: service, Missing: true, NodeStatuses: []healthpb.Status_Status{healthpb.Status_UNKNOWN}})
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	c.MissingChecks, c.MissingNodes = lost.Total-c.Checks[0], silent.Total-c.Nodes[0]
	return c
}

func TestNamesOfStatusesAreThoseOfTheMessages(t *testing.T) {
	nodes, checks := StatusNames()
	if nodes != [4]string{"UNKNOWN", "STARTED", "RUNNING", "STOPPED"} || checks != [4]string{"UNKNOWN", "OK", "ERROR", "WARNING"} {
		t.Errorf("got %v and %v", nodes, checks)
	}
}
