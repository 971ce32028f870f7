package store

import "time"

// Config holds the caps of a store. A zero or negative field means its default.
type Config struct {
	// Retention is how long a thing is kept after it was judged missing, or a node
	// that is STOPPED after its ttl, before it is forgotten. 24 hours by default.
	Retention time.Duration
	// Transitions is how many of them are held, 16,384 by default.
	Transitions int

	// Caps of what is held in all, with the checks of one node besides. The
	// defaults are 2,000 services, 10,000 nodes, 200 checks of a node and
	// 100,000 entries, an entry being a check, a status or figures.
	MaxServices, MaxNodes, MaxChecksPerNode, MaxEntries int

	// Own is the id of the node whose monitors' results are put here. It may have
	// more checks than MaxChecksPerNode, since it has one for each monitor besides
	// its own. Empty if there is none.
	Own string

	// MaxBytes bounds the bodies and descriptions of all entries together, in
	// bytes; 256 MiB by default, which is about 2.7 KiB for each of 100,000
	// entries and ten times what publishers normally send.
	MaxBytes int64

	// Share is the part of MaxNodes and of MaxEntries that one service may hold
	// once the store is more than half full, 0.2 by default; up to there it may
	// take all of that half. So one service alone can use half of the room, and
	// a flood by it leaves the other half to others. 1 turns this off.
	Share float64
}

func (c Config) withDefaults() Config {
	if c.Retention <= 0 {
		c.Retention = 24 * time.Hour
	}
	for _, f := range []struct {
		field *int
		value int
	}{
		{&c.Transitions, 16384},
		{&c.MaxServices, 2000},
		{&c.MaxNodes, 10000},
		{&c.MaxChecksPerNode, 200},
		{&c.MaxEntries, 100000},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 256 << 20
	}
	if !(c.Share > 0) {
		c.Share = 0.2
	}
	return c
}
