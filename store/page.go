package store

import (
	"slices"
	"time"
)

// limitOf clamps the limit of a page.
func limitOf(limit int) int {
	if limit <= 0 {
		return DefaultLimit
	}
	return min(limit, MaxLimit)
}

// cutter collects one page of the items of a tree that a query selects. The items are in
// one or more spans of the tree, in order.
type cutter[E, T any] struct {
	tree    *tree[E]
	set     classSet
	listing listing
	// fill copies an item into the answer, at a time of the store's clock.
	fill func(x E, out *T, now time.Duration)
	now  time.Duration

	limit, offset int  // limit of items, including those given to start with
	cursor        *key // excludes offset

	items []T
	total int
	more  bool // there are items after the page
	last  E
}

// start sets limit, offset and cursor from q.
func (c *cutter[E, T]) start(q *Query) error {
	c.limit, c.offset = len(c.items)+limitOf(q.Limit), max(q.Offset, 0)
	if q.Cursor == "" {
		return nil
	}
	k, err := c.listing.decode(q.Cursor)
	if err != nil {
		return err
	}
	c.cursor, c.offset = &k, 0
	return nil
}

// cut adds the items of a span that belong to the page. The caller holds the lock.
func (c *cutter[E, T]) cut(words ...string) {
	from, to := span(words...)
	first, end := c.tree.before(from, c.set), c.tree.before(to, c.set)
	c.total += end - first
	pos := first + min(c.offset, end-first)
	c.offset -= pos - first
	if c.cursor != nil {
		after := bound{key: *c.cursor, n: len(c.cursor), after: true}
		pos = min(max(first, c.tree.before(after, c.set)), end)
	}
	n := min(c.limit-len(c.items), end-pos)
	c.more = c.more || pos+n < end
	if n == 0 {
		return
	}
	had := len(c.items)
	c.items = slices.Grow(c.items, n)[:had+n]
	rest := c.items[had:]
	c.tree.walk(pos, c.set, func(x E) bool {
		c.fill(x, &rest[0], c.now)
		c.last, rest = x, rest[1:]
		return len(rest) > 0
	})
}

// page returns the page. Keys never change, so that of the last item may be read
// without the lock.
func (c *cutter[E, T]) page() Page[T] {
	p := Page[T]{Items: c.items, Total: c.total}
	if c.more && len(c.items) > 0 {
		p.Next = c.listing.encode(c.tree.keyOf(c.last))
	}
	return p
}

// maxSpans bounds how many spans are read without releasing the lock.
const maxSpans = 256

// read answers q. Without a node in q, the page is from the span of words. With a node,
// it is from the spans of wordsOf for each node with that id.
func (c *cutter[E, T]) read(s *Store, q *Query, wordsOf func(*node) []string, words ...string) (Page[T], error) {
	if err := c.start(q); err != nil {
		return Page[T]{}, err
	}
	s.advance()
	s.mu.RLock()
	defer s.mu.RUnlock()
	c.now = s.clock.sinceStart()
	if err := s.known(q.Service, q.Node, q.ID); err != nil {
		return Page[T]{}, err
	}
	if q.Node == "" {
		c.cut(words...)
		return c.page(), nil
	}
	at, to := span(q.Node)
	if q.Service != "" {
		at, to = span(q.Node, q.Service)
	}
	for {
		pos, end := s.nodesByID.before(at, allClasses), s.nodesByID.before(to, allClasses)
		if pos == end {
			return c.page(), nil
		}
		stop := min(pos+maxSpans, end)
		s.nodesByID.walk(pos, allClasses, func(n *node) bool {
			if words := wordsOf(n); words != nil {
				c.cut(words...)
			}
			at = bound{key: n.keyByID(), n: 3, after: true}
			pos++
			return pos < stop
		})
		s.mu.RUnlock() // let writers in
		s.mu.RLock()
	}
}
