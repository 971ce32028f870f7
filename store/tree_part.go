package store

// part is a leaf or an inner node of a tree. It is not an interface, because arguments of
// interface methods are allocated on the heap.
type part[T any] struct {
	leaf  *leaf[T]
	inner *inner[T]
}

func (p part[T]) none() bool { return p.leaf == nil && p.inner == nil }

// size returns the number of items of a leaf, or of kids.
func (p part[T]) size() int {
	if p.inner != nil {
		return p.inner.n
	}
	return int(p.leaf.n)
}

func (p part[T]) first() T {
	if p.inner != nil {
		return p.inner.min[0]
	}
	return p.leaf.items[0]
}

func (p part[T]) addTo(s *sums) {
	if p.inner != nil {
		p.inner.addTo(s)
		return
	}
	p.leaf.addTo(s)
}

// insert returns the right half if the part was split, else none.
func (p part[T]) insert(t *tree[T], k *key, x T, c class) part[T] {
	if p.inner != nil {
		return part[T]{inner: p.inner.insert(t, k, x, c)}
	}
	return part[T]{leaf: p.leaf.insert(t, k, x, c)}
}

func (p part[T]) remove(t *tree[T], k *key) class {
	if p.inner != nil {
		return p.inner.remove(t, k)
	}
	return p.leaf.remove(t, k)
}

// change returns the class that the item had.
func (p part[T]) change(t *tree[T], k *key, c class) class {
	if p.inner != nil {
		return p.inner.change(t, k, c)
	}
	return p.leaf.change(t, k, c)
}

func (p part[T]) before(t *tree[T], b *bound, set classSet) int {
	if p.inner != nil {
		return p.inner.before(t, b, set)
	}
	return p.leaf.before(t, b, set)
}

// addBefore adds the items before b to s.
func (p part[T]) addBefore(t *tree[T], b *bound, s *sums) {
	if p.inner != nil {
		p.inner.addBefore(t, b, s)
		return
	}
	p.leaf.addBefore(t, b, s)
}

func (p part[T]) walk(pos int, set classSet, yield func(T) bool) bool {
	if p.inner != nil {
		return p.inner.walk(pos, set, yield)
	}
	return p.leaf.walk(pos, set, yield)
}

// merge moves the content of right, a part of the same kind, into the part if there is
// ample room.
func (p part[T]) merge(right part[T]) bool {
	if p.inner != nil {
		return p.inner.merge(right.inner)
	}
	return p.leaf.merge(right.leaf)
}
