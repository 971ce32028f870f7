package store

import "strings"

// key is a sort key of several words. Checks are sorted by service, version, node and
// id. Shorter keys leave the rest empty.
type key [4]string

// compare compares the first n words of k and o.
func (k *key) compare(o *key, n int) int {
	for i := range n {
		if c := strings.Compare(k[i], o[i]); c != 0 {
			return c
		}
	}
	return 0
}

// bound is a position between two items of a tree: before all items that begin with the
// first n words of key or, if after is set, behind them.
type bound struct {
	key   key
	n     int
	after bool
}

// above reports whether an item with key k is before the bound.
func (b *bound) above(k *key) bool {
	c := k.compare(&b.key, b.n)
	return c < 0 || c == 0 && b.after
}

// span returns the bounds of all items that begin with words.
func span(words ...string) (from, to bound) {
	from.n = copy(from.key[:], words)
	to = from
	to.after = true
	return from, to
}
