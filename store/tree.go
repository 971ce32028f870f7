package store

import "math/bits"

// class is what a tree counts its items by: the filters of a Query. It is less
// than classes.
type class uint8

const classes = 32

// classSet is a set of classes, one bit each.
type classSet uint32

const allClasses = ^classSet(0)

func (s classSet) has(c class) bool { return s>>c&1 != 0 }

// sums counts items by class.
type sums [classes]uint32

func (s *sums) in(set classSet) (n int) {
	for ; set != 0; set &= set - 1 {
		n += int(s[bits.TrailingZeros32(uint32(set))])
	}
	return n
}

func (s *sums) present() (set classSet) {
	for c, n := range s {
		if n != 0 {
			set |= 1 << c
		}
	}
	return set
}

// tree is a B+-tree that holds items in the order of their keys and knows, for
// every subtree, how many items of each class are below. So the number of items
// that match a filter, and the k-th of them, are found in O(log n) whatever the
// filter is, and no question ever scans. Keys are distinct and never change
// while an item is held.
type tree[T any] struct {
	keyOf func(T) key
	root  part[T] // neither leaf nor inner if empty
	sums  sums
}

// insert adds an item that is not held.
func (t *tree[T]) insert(x T, c class) {
	k := t.keyOf(x)
	if t.root.none() {
		t.root.leaf = &leaf[T]{}
	}
	if right := t.root.insert(t, &k, x, c); !right.none() {
		root := &inner[T]{}
		root.open(0, t.root)
		root.open(1, right)
		t.root = part[T]{inner: root}
	}
	t.sums[c]++
}

// remove takes out an item that is held.
func (t *tree[T]) remove(x T) {
	k := t.keyOf(x)
	t.sums[t.root.remove(t, &k)]--
	if in := t.root.inner; in != nil && in.n == 1 {
		t.root = in.kids[0]
	}
	if t.root.size() == 0 {
		t.root = part[T]{}
	}
}

// change gives an item that is held another class.
func (t *tree[T]) change(x T, c class) {
	k := t.keyOf(x)
	t.sums[t.root.change(t, &k, c)]--
	t.sums[c]++
}

// count returns how many items of the set the tree holds.
func (t *tree[T]) count(set classSet) int { return t.sums.in(set) }

// before returns how many items of the set lie before b.
func (t *tree[T]) before(b bound, set classSet) int {
	switch set &= t.sums.present(); {
	case set == 0:
		return 0
	case b.n == 0 && b.after:
		return t.count(set)
	case b.n == 0:
		return 0
	}
	return t.root.before(t, &b, set)
}

// walk visits the items of the set in order, from the one at pos on, until
// yield returns false.
func (t *tree[T]) walk(pos int, set classSet, yield func(T) bool) {
	if set &= t.sums.present(); set != 0 {
		t.root.walk(pos, set, yield)
	}
}

// find returns the first item of the set within the span of words.
func (t *tree[T]) find(set classSet, words ...string) (x T, ok bool) {
	from, to := span(words...)
	pos := t.before(from, set)
	if pos == t.before(to, set) {
		return x, false
	}
	t.walk(pos, set, func(found T) bool {
		x, ok = found, true
		return false
	})
	return x, ok
}
