package store

import "math/bits"

// class of an item, less than classes. A tree counts its items by class, so that filters
// of a Query are sets of classes.
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

func (s *sums) add(o *sums) {
	for c, n := range o {
		s[c] += n
	}
}

func (s *sums) present() (set classSet) {
	for c, n := range s {
		if n != 0 {
			set |= 1 << c
		}
	}
	return set
}

// tree is a B+-tree of items in the order of their keys. It knows how many items of each
// class are in every subtree. So the number of items that match a filter, and the k-th of
// them, are found in O(log n) without scanning. Keys are distinct and do not change while
// an item is in the tree.
type tree[T any] struct {
	keyOf func(T) key
	root  part[T] // neither leaf nor inner if empty
	sums  sums
}

// insert adds an item that is not in the tree.
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

// remove removes an item that is in the tree.
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

// change changes the class of an item that is in the tree.
func (t *tree[T]) change(x T, c class) {
	k := t.keyOf(x)
	t.sums[t.root.change(t, &k, c)]--
	t.sums[c]++
}

// count returns the number of items of the set.
func (t *tree[T]) count(set classSet) int { return t.sums.in(set) }

// before returns the number of items of the set before b.
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

// between returns the counts of the items from one bound to another.
func (t *tree[T]) between(from, to bound) (s sums) {
	if t.root.none() {
		return s
	}
	var less sums
	t.root.addBefore(t, &from, &less)
	t.root.addBefore(t, &to, &s)
	for c, n := range less {
		s[c] -= n
	}
	return s
}

// walk calls yield for the items of the set in order, beginning at pos, until it returns
// false.
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
