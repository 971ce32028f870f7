package store

import "time"

// Config holds the caps of a store. A zero or negative field means its default.
type Config struct {
	// Retention is how long missing entries, and STOPPED statuses after their ttl, are
	// retained before they are forgotten. 24 hours by default.
	Retention time.Duration
	// Transitions is how many of them are retained, 16,384 by default.
	Transitions int

	// Caps of the whole store, and of the checks of one node. The defaults are 2,000
	// services, 10,000 nodes, 200 checks per node and 100,000 entries. An entry is a
	// check, a status or stats.
	MaxServices, MaxNodes, MaxChecksPerNode, MaxEntries int

	// Own is the id of the node of this instance, empty if there is none. It is believed,
	// and may have more checks than MaxChecksPerNode, because it has one for each monitor.
	// Events about it must not come from anybody else.
	Own string
	// OwnService and OwnVersion are those of that node. Its id may be another one after a
	// restart; then results of monitors are restored under the present names.
	OwnService, OwnVersion string

	// Inventory says that somebody calls NodeChanges.
	Inventory bool

	// MaxBytes bounds the bodies and descriptions of all entries together, in
	// bytes; 256 MiB by default, which is about 2.7 KiB for each of 100,000
	// entries and ten times what publishers normally send.
	MaxBytes int64

	// Share is the part of MaxNodes and of MaxEntries that one service may hold
	// once the store is more than half full, 0.2 by default. So one service alone can
	// use half of the store, and a flood of its events leaves the other half to others.
	// 1 turns this off.
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
