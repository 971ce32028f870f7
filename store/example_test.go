package store_test

import (
	"fmt"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

// A store takes events, answers questions and tells what changed.
func Example() {
	s := store.New(store.Config{})
	for _, event := range []store.Event{
		{ID: []byte("ping"), Status: int32(healthpb.HealthCheck_OK)},
		{ID: []byte("pong"), Status: int32(healthpb.HealthCheck_OK)},
		{ID: []byte("pong"), Status: int32(healthpb.HealthCheck_ERROR)},
	} {
		event.Service, event.Version, event.Node = []byte("greeter"), []byte("1.0"), []byte("greeter-1")
		s.Put(&event)
	}

	page, err := s.Checks(store.Query{Service: "greeter"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, check := range page.Items {
		fmt.Println(check.Node, check.ID, check.Status)
	}

	transitions, _, _ := s.After(store.TransitionQuery{ID: "pong"}, 0)
	for _, t := range transitions {
		fmt.Println(t.ID, t.From, "->", t.To, "("+t.Why+")")
	}
	// Output:
	// greeter-1 ping OK
	// greeter-1 pong ERROR
	// pong UNKNOWN -> OK (first report)
	// pong OK -> ERROR (reported)
}
