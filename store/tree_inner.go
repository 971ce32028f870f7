package store

import "sort"

const innerMax = 16

// inner is an inner node. It always has room for one more kid.
type inner[T any] struct {
	kids [innerMax]part[T]
	min  [innerMax]T // the first item below each kid
	sums [innerMax]sums
	n    int
}

func (in *inner[T]) addTo(s *sums) {
	for i := range in.n {
		s.add(&in.sums[i])
	}
}

// open inserts a kid at i.
func (in *inner[T]) open(i int, kid part[T]) {
	copy(in.kids[i+1:], in.kids[i:in.n])
	copy(in.min[i+1:], in.min[i:in.n])
	copy(in.sums[i+1:], in.sums[i:in.n])
	in.n++
	in.kids[i] = kid
	in.refresh(i)
}

// close removes the i-th kid.
func (in *inner[T]) close(i int) {
	copy(in.kids[i:], in.kids[i+1:in.n])
	copy(in.min[i:], in.min[i+1:in.n])
	copy(in.sums[i:], in.sums[i+1:in.n])
	in.n--
	clear(in.kids[in.n : in.n+1])
	clear(in.min[in.n : in.n+1])
}

// refresh updates the counts of the i-th kid.
func (in *inner[T]) refresh(i int) {
	in.min[i] = in.kids[i].first()
	in.sums[i] = sums{}
	in.kids[i].addTo(&in.sums[i])
}

// search returns the last kid that begins before b, or 0.
func (in *inner[T]) search(t *tree[T], b *bound) int {
	return sort.Search(in.n-1, func(i int) bool {
		k := t.keyOf(in.min[i+1])
		return !b.above(&k)
	})
}

func (in *inner[T]) insert(t *tree[T], k *key, x T, c class) *inner[T] {
	i := in.search(t, &bound{key: *k, n: len(k), after: true})
	right := in.kids[i].insert(t, k, x, c)
	if right.none() {
		in.min[i] = in.kids[i].first()
		in.sums[i][c]++
		return nil
	}
	in.refresh(i)
	in.open(i+1, right)
	if in.n < innerMax {
		return nil
	}
	half := &inner[T]{}
	in.moveTo(half, innerMax/2)
	return half
}

// moveTo moves the kids from at on to the end of o.
func (in *inner[T]) moveTo(o *inner[T], at int) {
	copy(o.kids[o.n:], in.kids[at:in.n])
	copy(o.sums[o.n:], in.sums[at:in.n])
	o.n += copy(o.min[o.n:], in.min[at:in.n])
	clear(in.kids[at:in.n])
	clear(in.min[at:in.n])
	in.n = at
}

func (in *inner[T]) remove(t *tree[T], k *key) class {
	i := in.search(t, &bound{key: *k, n: len(k), after: true})
	c := in.kids[i].remove(t, k)
	if in.kids[i].size() == 0 {
		in.close(i)
		return c
	}
	in.min[i] = in.kids[i].first()
	in.sums[i][c]--
	in.join(i)
	in.join(i - 1)
	return c
}

// join merges the i-th kid and the next, if both exist and are small.
func (in *inner[T]) join(i int) {
	if i >= 0 && i+1 < in.n && in.kids[i].merge(in.kids[i+1]) {
		in.close(i + 1)
		in.refresh(i)
	}
}

func (in *inner[T]) change(t *tree[T], k *key, c class) class {
	i := in.search(t, &bound{key: *k, n: len(k), after: true})
	old := in.kids[i].change(t, k, c)
	in.sums[i][old]--
	in.sums[i][c]++
	return old
}

func (in *inner[T]) before(t *tree[T], b *bound, set classSet) (n int) {
	i := in.search(t, b)
	for j := range i {
		n += in.sums[j].in(set)
	}
	return n + in.kids[i].before(t, b, set)
}

func (in *inner[T]) addBefore(t *tree[T], b *bound, s *sums) {
	i := in.search(t, b)
	for j := range i {
		s.add(&in.sums[j])
	}
	in.kids[i].addBefore(t, b, s)
}

func (in *inner[T]) walk(pos int, set classSet, yield func(T) bool) bool {
	for i := range in.n {
		n := in.sums[i].in(set)
		if pos >= n {
			pos -= n
			continue
		}
		if !in.kids[i].walk(pos, set, yield) {
			return false
		}
		pos = 0
	}
	return true
}

func (in *inner[T]) merge(r *inner[T]) bool {
	if in.n+r.n > innerMax*3/4 {
		return false
	}
	r.moveTo(in, 0)
	return true
}
