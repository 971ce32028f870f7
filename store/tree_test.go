package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// treeItem is an item with its class, for comparison with a plain slice.
type treeItem struct {
	key   key
	class class
}

func (x *treeItem) where() key { return x.key }

// treeModel is what a tree has to be equal to.
type treeModel struct {
	tree  tree[*treeItem]
	items []*treeItem // sorted
}

func newTreeModel() *treeModel {
	return &treeModel{tree: tree[*treeItem]{keyOf: (*treeItem).where}}
}

func (m *treeModel) find(k key) (int, bool) {
	return slices.BinarySearchFunc(m.items, k, func(x *treeItem, k key) int { return x.key.compare(&k, len(k)) })
}

// toggle inserts the key, or changes or removes its item.
func (m *treeModel) toggle(k key, c class, remove bool) {
	i, held := m.find(k)
	switch {
	case !held:
		x := &treeItem{k, c}
		m.tree.insert(x, c)
		m.items = slices.Insert(m.items, i, x)
	case remove:
		m.tree.remove(m.items[i])
		m.items = slices.Delete(m.items, i, i+1)
	default:
		m.items[i].class = c
		m.tree.change(m.items[i], c)
	}
}

// check compares all that the tree tells about one span and set.
func (m *treeModel) check(t testing.TB, set classSet, words ...string) {
	t.Helper()
	from, to := span(words...)
	var want, all []*treeItem
	first := 0
	for _, x := range m.items {
		if !set.has(x.class) {
			continue
		}
		all = append(all, x)
		if from.above(&x.key) {
			first++
		} else if to.above(&x.key) {
			want = append(want, x)
		}
	}
	if got := m.tree.count(set); got != len(all) {
		t.Fatalf("count of %032b = %d, want %d", set, got, len(all))
	}
	if got := m.tree.before(from, set); got != first {
		t.Fatalf("before %q = %d, want %d", words, got, first)
	}
	if got := m.tree.before(to, set); got != first+len(want) {
		t.Fatalf("before the end of %q = %d, want %d", words, got, first+len(want))
	}
	pos := first + len(want)/2
	var got []*treeItem
	m.tree.walk(pos, set, func(x *treeItem) bool {
		got = append(got, x)
		return len(got) < 300
	})
	if rest := all[pos:]; !slices.Equal(got, rest[:min(len(rest), 300)]) {
		t.Fatalf("walk of %q from %d differs", words, pos)
	}
}

// checkShape looks for parts that are empty, too full or miscounted.
func checkShape[T any](t testing.TB, p part[T]) (items int) {
	t.Helper()
	if l := p.leaf; l != nil {
		if l.n == 0 || l.n >= leafMax {
			t.Fatalf("leaf of %d items", l.n)
		}
		return int(l.n)
	}
	in := p.inner
	if in == nil {
		return 0
	}
	if in.n == 0 || in.n >= innerMax {
		t.Fatalf("inner of %d kids", in.n)
	}
	for i := range in.n {
		n := checkShape(t, in.kids[i])
		if got := in.sums[i].in(allClasses); got != n {
			t.Fatalf("sums say %d items, there are %d", got, n)
		}
		if any(in.min[i]) != any(in.kids[i].first()) {
			t.Fatal("min is not the first item")
		}
		items += n
	}
	return items
}

func testKey(n int) key {
	return key{fmt.Sprint(n % 7), fmt.Sprint(n % 3), fmt.Sprint(n / 21), ""}
}

func TestTreeEqualsSortedSlice(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	large := testkit.Fewer(20000, 4000)
	for _, size := range []int{50, 1000, large} {
		m := newTreeModel()
		if size == large { // in order, which leaves full leaves
			for i := range size {
				m.toggle(key{fmt.Sprintf("%07d", i)}, class(i%classes), false)
			}
			if n, leaves := checkShape(t, m.tree.root), countLeaves(m.tree.root); n != size || leaves > size/(leafMax-2)+1 {
				t.Fatalf("%d items in %d leaves, want %d", n, leaves, size)
			}
		}
		for i := range 2 * size {
			m.toggle(testKey(rnd.IntN(size)), class(rnd.IntN(classes)), rnd.IntN(3) == 0)
			if i%(size/3) == 0 {
				m.check(t, classSet(rnd.Uint32()), fmt.Sprint(rnd.IntN(7)))
				m.check(t, allClasses, fmt.Sprint(rnd.IntN(7)), fmt.Sprint(rnd.IntN(3)))
				m.check(t, 0)
				m.check(t, listedClasses)
			}
		}
		if n := checkShape(t, m.tree.root); n != len(m.items) {
			t.Fatalf("%d items, want %d", n, len(m.items))
		}
		for len(m.items) > 0 {
			m.toggle(m.items[rnd.IntN(len(m.items))].key, 0, true)
		}
		if !m.tree.root.none() || m.tree.sums != (sums{}) {
			t.Fatal("an empty tree holds something")
		}
		m.check(t, allClasses)
	}
}

func countLeaves[T any](p part[T]) (leaves int) {
	if p.inner == nil {
		return 1
	}
	for _, kid := range p.inner.kids[:p.inner.n] {
		leaves += countLeaves(kid)
	}
	return leaves
}

// TestTreeGivesRoomBack removes most items at random: leaves must merge.
func TestTreeGivesRoomBack(t *testing.T) {
	size := testkit.Fewer(20000, 4000)
	rnd := rand.New(rand.NewPCG(3, 4))
	m := newTreeModel()
	for _, i := range rnd.Perm(size) {
		m.toggle(testKey(i), 0, false)
	}
	for range size - 200 {
		m.toggle(m.items[rnd.IntN(len(m.items))].key, 0, true)
	}
	leaves := countLeaves(m.tree.root)
	if leaves > 10 {
		t.Errorf("200 items of %d are left in %d leaves, want at most 10", size, leaves)
	}
	m.check(t, allClasses)
}
