package store

import (
	"math/bits"
	"sort"
)

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
	root  part[T] // nil if empty
	sums  sums
}

// part is a leaf or an inner node of a tree.
type part[T any] interface {
	size() int
	first() T
	addTo(*sums)
	// insert returns the right half if the part had to be split.
	insert(t *tree[T], k *key, x T, c class) part[T]
	remove(t *tree[T], k *key) class
	// change returns the class that the item had.
	change(t *tree[T], k *key, c class) class
	before(t *tree[T], b *bound, set classSet) int
	walk(pos int, set classSet, yield func(T) bool) bool
	// merge takes in what right holds, if there is ample room.
	merge(right part[T]) bool
}

// insert adds an item that is not held.
func (t *tree[T]) insert(x T, c class) {
	k := t.keyOf(x)
	if t.root == nil {
		t.root = &leaf[T]{}
	}
	if right := t.root.insert(t, &k, x, c); right != nil {
		root := &inner[T]{}
		root.open(0, t.root)
		root.open(1, right)
		t.root = root
	}
	t.sums[c]++
}

// remove takes out an item that is held.
func (t *tree[T]) remove(x T) {
	k := t.keyOf(x)
	t.sums[t.root.remove(t, &k)]--
	if in, ok := t.root.(*inner[T]); ok && in.n == 1 {
		t.root = in.kids[0]
	}
	if t.root.size() == 0 {
		t.root = nil
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

// leafMax makes a leaf of pointers fill one of Go's size classes, 1,152 bytes.
const leafMax = 127

// leaf always has room for one more item.
type leaf[T any] struct {
	items [leafMax]T
	class [leafMax]class
	n     uint8
}

func (l *leaf[T]) size() int { return int(l.n) }
func (l *leaf[T]) first() T  { return l.items[0] }

func (l *leaf[T]) addTo(s *sums) {
	for _, c := range l.class[:l.n] {
		s[c]++
	}
}

// rank returns how many items lie before b.
func (l *leaf[T]) rank(t *tree[T], b *bound) int {
	return sort.Search(int(l.n), func(i int) bool {
		k := t.keyOf(l.items[i])
		return !b.above(&k)
	})
}

func (l *leaf[T]) insert(t *tree[T], k *key, x T, c class) part[T] {
	i := l.rank(t, &bound{key: *k, n: len(k)})
	copy(l.items[i+1:], l.items[i:l.n])
	copy(l.class[i+1:], l.class[i:l.n])
	l.items[i], l.class[i] = x, c
	if l.n++; l.n < leafMax {
		return nil
	}
	// A run of growing keys leaves full leaves behind.
	at := leafMax / 2
	if i == leafMax-1 {
		at = i
	}
	right := &leaf[T]{}
	l.moveTo(right, at)
	return right
}

// moveTo appends the items from at on to o.
func (l *leaf[T]) moveTo(o *leaf[T], at int) {
	copy(o.class[o.n:], l.class[at:l.n])
	o.n += uint8(copy(o.items[o.n:], l.items[at:l.n]))
	clear(l.items[at:l.n])
	l.n = uint8(at)
}

func (l *leaf[T]) remove(t *tree[T], k *key) class {
	i := l.rank(t, &bound{key: *k, n: len(k)})
	c := l.class[i]
	copy(l.items[i:], l.items[i+1:l.n])
	copy(l.class[i:], l.class[i+1:l.n])
	l.n--
	clear(l.items[l.n : l.n+1])
	return c
}

func (l *leaf[T]) change(t *tree[T], k *key, c class) class {
	i := l.rank(t, &bound{key: *k, n: len(k)})
	old := l.class[i]
	l.class[i] = c
	return old
}

func (l *leaf[T]) before(t *tree[T], b *bound, set classSet) (n int) {
	for _, c := range l.class[:l.rank(t, b)] {
		n += int(set >> c & 1)
	}
	return n
}

func (l *leaf[T]) walk(pos int, set classSet, yield func(T) bool) bool {
	for i, c := range l.class[:l.n] {
		if !set.has(c) {
			continue
		}
		if pos--; pos < 0 && !yield(l.items[i]) {
			return false
		}
	}
	return true
}

func (l *leaf[T]) merge(right part[T]) bool {
	r := right.(*leaf[T])
	if int(l.n)+int(r.n) > leafMax*3/4 {
		return false
	}
	r.moveTo(l, 0)
	return true
}
