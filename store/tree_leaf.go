package store

import "sort"

// leafMax makes a leaf of pointers as large as one of Go's size classes, 1,152 bytes.
const leafMax = 127

// leaf is a leaf of the tree. It always has room for one more item.
type leaf[T any] struct {
	items [leafMax]T
	class [leafMax]class
	n     uint8
}

func (l *leaf[T]) addTo(s *sums) {
	for _, c := range l.class[:l.n] {
		s[c]++
	}
}

// rank returns the number of items before b.
func (l *leaf[T]) rank(t *tree[T], b *bound) int {
	return sort.Search(int(l.n), func(i int) bool {
		k := t.keyOf(l.items[i])
		return !b.above(&k)
	})
}

func (l *leaf[T]) insert(t *tree[T], k *key, x T, c class) *leaf[T] {
	i := l.rank(t, &bound{key: *k, n: len(k)})
	copy(l.items[i+1:], l.items[i:l.n])
	copy(l.class[i+1:], l.class[i:l.n])
	l.items[i], l.class[i] = x, c
	if l.n++; l.n < leafMax {
		return nil
	}
	// Inserting ascending keys leaves full leaves.
	at := leafMax / 2
	if i == leafMax-1 {
		at = i
	}
	right := &leaf[T]{}
	l.moveTo(right, at)
	return right
}

// moveTo moves the items from at on to the end of o.
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

func (l *leaf[T]) addBefore(t *tree[T], b *bound, s *sums) {
	for _, c := range l.class[:l.rank(t, b)] {
		s[c]++
	}
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

func (l *leaf[T]) merge(r *leaf[T]) bool {
	if int(l.n)+int(r.n) > leafMax*3/4 {
		return false
	}
	r.moveTo(l, 0)
	return true
}
