package store

import (
	"cmp"
	"slices"
	"strings"
)

// Refusal is how many new keys of a service were refused.
type Refusal struct {
	Service string
	// Count may be too large by up to Error, because only the most refused services are
	// counted separately.
	Count, Error uint64
}

// Refusals returns the ten services with the most refused keys since the store was made,
// the worst first.
func (s *Store) Refusals() []Refusal {
	s.mu.RLock()
	top := slices.Clone(s.refused.top)
	s.mu.RUnlock()
	slices.SortFunc(top, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Service, b.Service))
	})
	return top[:min(len(top), maxRefusals)]
}

const (
	maxRefusals = 10
	sketchSize  = 64
)

// sketch counts by service in bounded space ("space saving", Metwally 2005): a service
// that is not counted replaces the one with the lowest count, and takes over its count.
type sketch struct{ top []Refusal }

func (k *sketch) add(service []byte) {
	least := 0
	for i := range k.top {
		if k.top[i].Service == string(service) {
			k.top[i].Count++
			return
		}
		if k.top[i].Count < k.top[least].Count {
			least = i
		}
	}
	if len(k.top) < sketchSize {
		k.top = append(k.top, Refusal{Service: string(service), Count: 1})
		return
	}
	c := k.top[least].Count
	k.top[least] = Refusal{Service: string(service), Count: c + 1, Error: c}
}
