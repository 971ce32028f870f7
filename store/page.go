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

// cutter cuts one page out of the items of a tree that a query selects. It is
// shown them in one or more spans of the tree, in order.
type cutter[E, T any] struct {
	tree    *tree[E]
	set     classSet
	listing listing
	// fill copies what is shown of an item at a time, by our time.
	fill func(x E, out *T, now time.Duration)
	now  time.Duration

	limit, offset int  // limit of items, with those that were there before
	cursor        *key // excludes offset

	items []T
	total int
	more  bool // there are items behind the page
	last  E
}

// start takes over the page that q asks for.
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

// cut takes those items of a span that belong to the page. The caller holds the
// lock.
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

// page returns what was cut. Keys never change, so that of the last item may be
// read without the lock.
func (c *cutter[E, T]) page() Page[T] {
	p := Page[T]{Items: c.items, Total: c.total}
	if c.more && len(c.items) > 0 {
		p.Next = c.listing.encode(c.tree.keyOf(c.last))
	}
	return p
}

// maxSpans bounds how many spans are cut without letting go of the lock.
const maxSpans = 256

// read answers q. Without a node in q the page is cut from the span of words;
// with one, from the span of wordsOf each node that has the id, if any.
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
		s.mu.RUnlock() // let others have the lock
		s.mu.RLock()
	}
}
