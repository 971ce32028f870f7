package store

import (
	"slices"
	"testing"
)

// verify fails if the indexes, lists and counts of a store disagree.
func verify(t testing.TB, s *Store) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	held, uses := map[*entry]bool{}, 0
	visit := func(e *entry) bool {
		held[e] = true
		if e.kind == KindCheck {
			uses += 2
		}
		return true
	}
	for _, tr := range []*tree[*entry]{&s.checks, &s.statuses, &s.stats} {
		tr.walk(0, allClasses, visit)
		checkShape(t, tr.root)
	}
	if len(held) != s.entries() || s.checks.sums != s.checksByID.sums {
		t.Fatalf("%d entries are held, the trees count %d", len(held), s.entries())
	}
	linked := 0
	lists := append(slices.Clone(s.wheel.slots[:]), s.missing, s.retired)
	for _, l := range lists {
		for e := l.head; e != nil; e = e.next {
			if linked++; !held[e] {
				t.Fatal("a list holds an entry that the trees do not")
			}
		}
	}
	if linked != len(held) {
		t.Fatalf("%d entries are in lists, want %d", linked, len(held))
	}
	for e := range s.marks {
		if !held[e] {
			t.Fatal("a mark is left of an entry that is not held")
		}
	}
	for _, x := range s.texts.table.m {
		uses -= x.uses
	}
	if uses != 0 {
		t.Fatalf("%d uses of texts too few", uses)
	}
	verifyNodes(t, s, held)
}

func verifyNodes(t testing.TB, s *Store, held map[*entry]bool) {
	t.Helper()
	nodes := map[*node][2]int32{}
	services := map[*service][2]int{}
	for e := range held {
		x := e.indexed()
		c := nodes[e.node]
		nodes[e.node] = [2]int32{c[0] + one(x.listed), c[1] + one(x.pinned)}
		v := services[e.node.version.service]
		services[e.node.version.service] = [2]int{v[0] + 1, v[1] + int(one(x.pinned))}
	}
	ids := map[string]int{}
	s.nodes.walk(0, allClasses, func(n *node) bool { ids[n.id]++; return true })
	s.nodes.walk(0, allClasses, func(n *node) bool {
		if got := [2]int32{n.listed, n.pinned}; got != nodes[n] {
			t.Fatalf("node %q counts %v, want %v", n.id, got, nodes[n])
		}
		if n.conflict != (ids[n.id] > 1) {
			t.Fatalf("node %q: conflict %t, of %d nodes with that id", n.id, n.conflict, ids[n.id])
		}
		return true
	})
	if got := s.nodes.count(allClasses); got != len(nodes) || s.nodesByID.count(allClasses) != got {
		t.Fatalf("%d nodes, want %d", got, len(nodes))
	}
	for sv, want := range services {
		if got := [2]int{sv.entries, sv.pinned}; got != want {
			t.Fatalf("service %q counts %v, want %v", sv.name, got, want)
		}
	}
	if got := s.services.count(allClasses); got != len(services) || len(s.byName.m) != got {
		t.Fatalf("%d services, want %d", got, len(services))
	}
}
