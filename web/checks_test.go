package web

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/wire"
)

// fleet returns a store with a check of each status on five nodes of a service, and a
// service that was stopped.
func fleet(t *testing.T) *store.Store {
	t.Helper()
	s := store.New(store.Config{})
	now := time.Now().Unix()
	put := func(kind store.Kind, service, node string, status int32) {
		ev := &store.Event{
			Kind: kind, Service: []byte(service), Version: []byte("1"), Node: []byte(node), Address: []byte("h:1"),
			Status: status, Timestamp: now, Interval: 10, TTL: 60,
		}
		if kind == store.KindCheck {
			ev.ID, ev.Description = []byte("db"), []byte("<about>")
			ev.Body = wire.AppendString(wire.AppendMapEntry(nil, wire.HealthCheckResults, "open", "7"), wire.HealthCheckError, "why")
		}
		if s.Put(ev) != store.Accepted {
			t.Fatalf("%+v is not accepted", ev)
		}
	}
	for i, status := range []int32{1, 2, 3, 0, 1} { // OK, ERROR, WARNING, UNKNOWN
		put(store.KindCheck, "shop", fmt.Sprint("shop-", i), status)
		put(store.KindStatus, "shop", fmt.Sprint("shop-", i), 2)
	}
	put(store.KindCheck, "gone", "gone-1", 2)
	put(store.KindStatus, "gone", "gone-1", 3)
	return s
}

// Faults: U4.
func TestChecksAreListedByREST(t *testing.T) {
	w := newWorld(t, options{web: func(c *Config) { c.Store = fleet(t) }})
	list := func(query string) (Checks, string) {
		var p Checks
		a := w.want(call{method: "GET", path: "/api/v1/healthchecks" + query}, 200)
		if err := json.Unmarshal([]byte(a.body), &p); err != nil {
			t.Fatalf("%s: %v", a.body, err)
		}
		var names []string
		for _, c := range p.HealthChecks {
			names = append(names, c.Node+" "+c.Status)
		}
		return p, strings.Join(names, ", ")
	}
	for query, want := range map[string]string{
		"?status=error": "shop-1 ERROR",
		"?status=ERROR,WARNING,UNKNOWN&missing=true": "shop-1 ERROR, shop-2 WARNING, shop-3 UNKNOWN",
		"?node=shop-0":               "shop-0 OK",
		"?service=gone":              "",
		"?service=gone&missing=true": "gone-1 ERROR",
		"?source=MONITOR":            "",
		"?limit=1&offset=4":          "shop-4 OK",
	} {
		if p, got := list(query); got != want || p.HealthChecks == nil {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	first, _ := list("?limit=3")
	second, got := list("?limit=3&cursor=" + first.Cursor)
	if !first.More || second.More || first.Total != 5 || got != "shop-3 UNKNOWN, shop-4 OK" {
		t.Errorf("pages of three: %+v, %q", first, got)
	}
	c := first.HealthChecks[1]
	if c.Service != "shop" || c.Version != "1" || c.Address != "h:1" || c.ID != "db" || c.Description != "<about>" || c.Error != "why" ||
		c.Results["open"] != "7" || c.Source != "EVENT" || c.Reported != "ERROR" || c.Interval != 10 || c.TTL != 60 || time.Since(c.Received) > time.Minute {
		t.Errorf("a check is %+v", c)
	}
	for query, want := range map[string]string{
		"?state=OK": "unknown parameter", "?status=DOWN": "DOWN", "?missing=1": "true or false", "?limit=x": "whole number",
		"?cursor=x": "cursor", "?offset=1&cursor=" + first.Cursor: "offset", "?source=x": "x", "?status=OK&status=ERROR": "2 times",
	} {
		w.want(call{method: "GET", path: "/api/v1/healthchecks" + query}, 400, want)
	}
	w.want(call{method: "GET", path: "/api/v1/healthchecks?service=nobody"}, 404, "nobody")
}

// Faults: U4.
func TestNodesAreListedByREST(t *testing.T) {
	w := newWorld(t, options{web: func(c *Config) { c.Store = fleet(t) }})
	var p Nodes
	a := w.want(call{method: "GET", path: "/api/v1/status?status=stopped,started"}, 200)
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Total != 1 || p.More || p.Nodes[0].Node != "gone-1" || p.Nodes[0].Status != "STOPPED" {
		t.Errorf("stopped nodes: %s, %v", a.body, err)
	}
	w.want(call{method: "GET", path: "/api/v1/status?status=ERROR"}, 400, "RUNNING")
	w.want(call{method: "GET", path: "/api/v1/status?id=db"}, 400, "unknown parameter")
	w.want(call{method: "GET", path: "/api/v1/status?node=nobody"}, 404, "nobody")
}
