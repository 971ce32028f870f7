package store

import (
	"encoding/binary"
	"fmt"
	"sort"
	"time"
)

// SnapshotVersion is the version of the records of WriteSnapshot.
const SnapshotVersion = 1

// The kinds of records, in their first byte.
const (
	recordTransitions byte = 1 + iota
	recordNode
)

// maxStepBytes bounds how many bytes are copied without releasing the lock, but for the
// last entry.
const maxStepBytes = 64 << 10

// Flags of a node in its record.
const (
	flagProven byte = 1 << iota
	flagVouched
	flagOwn
)

// WriteSnapshot calls add with one record after the other of all that is held, in a form
// that ReadSnapshot reads: the transitions, then the nodes with their entries. The record
// is reused once add returns. An entry is as it was at some moment of the call.
func (s *Store) WriteSnapshot(add func(record []byte) error) error {
	s.advance()
	if err := s.ring.write(add); err != nil {
		return fmt.Errorf("writing the transitions: %w", err)
	}
	w := snapshotWriter{store: s}
	for w.step() {
		start := 0
		for _, end := range w.ends {
			if err := add(w.buf[start:end]); err != nil {
				return fmt.Errorf("writing the nodes: %w", err)
			}
			start = end
		}
	}
	return nil
}

// snapshotWriter writes the nodes in the order of their keys.
type snapshotWriter struct {
	store *Store
	at    bound  // the next node
	check uint64 // number of its next check, 0 for all that it has
	now   time.Duration
	brief bool // without bodies

	// The records of a step.
	buf     []byte
	ends    []int
	entries int
}

// step writes some records into buf, and reports whether there were any left.
func (w *snapshotWriter) step() bool {
	w.buf, w.ends, w.entries = w.buf[:0], w.ends[:0], 0
	s := w.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	w.now = s.clock.sinceStart()
	pos := s.nodes.before(w.at, allClasses)
	if pos == s.nodes.count(allClasses) {
		return false
	}
	s.nodes.walk(pos, allClasses, func(n *node) bool {
		complete := w.writeNode(n)
		w.at = bound{key: n.key(), n: 3, after: complete}
		w.ends = append(w.ends, len(w.buf))
		return !w.full()
	})
	return true
}

func (w *snapshotWriter) full() bool {
	return w.entries >= maxStep || len(w.buf) >= maxStepBytes
}

// writeNode writes a node with its entries from check on, and reports whether these are
// all. Each record names its node, so that the loss of one does not harm another.
func (w *snapshotWriter) writeNode(n *node) (complete bool) {
	w.header(n)
	if w.check == 0 {
		for _, e := range []*entry{n.status, n.stats} {
			if e != nil {
				w.writeEntry(e)
			}
		}
	}
	rest := n.checks[sort.Search(len(n.checks), func(i int) bool { return n.checks[i].number >= w.check }):]
	for _, c := range rest {
		if w.full() {
			w.check = c.number
			return false
		}
		w.writeEntry(c.entry)
	}
	w.check = 0
	return true
}

func (w *snapshotWriter) header(n *node) {
	v := n.version
	flags := byte(0)
	if n.proven {
		flags |= flagProven
	}
	if w.store.vouches(n) {
		flags |= flagVouched
	}
	if n.id == w.store.cfg.Own && n.id != "" {
		flags |= flagOwn
	}
	w.buf = append(w.buf, recordNode, flags)
	w.buf = binary.AppendVarint(w.buf, v.since)
	w.buf = appendText(w.buf, v.service.name, v.name, n.id, n.address, n.metadata)
}

// writeEntry writes an entry with durations in place of times, because the clock of the
// store starts anew.
func (w *snapshotWriter) writeEntry(e *entry) {
	s := w.store
	w.entries++
	b := w.buf
	b = append(b, packKind(e.kind, e.state, e.skewed), e.status|e.reported<<2|e.source<<4)
	b = binary.AppendVarint(b, e.timestamp)
	b = appendDuration(b, w.now-e.arrival)
	switch {
	case mayBeSilent(e.kind, e.state):
		b = appendDuration(b, w.now-s.heard(e))
	case e.state.evictable():
		b = appendDuration(b, w.now+s.cfg.Retention-time.Duration(e.due)*tick)
	}
	b = binary.AppendUvarint(b, uint64(e.received))
	b = binary.AppendUvarint(b, uint64(e.since))
	b = binary.AppendUvarint(b, uint64(e.claimedInterval.seconds()))
	b = binary.AppendUvarint(b, uint64(e.claimedTTL))
	if e.kind == KindCheck {
		b = appendText(b, e.id.value, e.description.value)
	}
	if w.brief {
		w.buf = appendText(b, "")
		return
	}
	w.buf = appendText(b, e.body)
}

// mayBeSilent reports whether an entry can be overdue but not missing. Stats have no state
// for it.
func mayBeSilent(kind Kind, st state) bool { return st == stale || kind == KindStats && st == live }

// vouches reports whether the node is believed for itself, and not for its service only.
func (s *Store) vouches(n *node) bool {
	_, named := s.beliefs[belief{n.version.service.name, n.id}]
	return named || n.vouched
}

// packKind packs what fits into a byte.
func packKind(kind Kind, st state, skewed bool) byte {
	return byte(kind) | byte(st)<<2 | byte(one(skewed))<<5
}

// appendDuration appends a duration in milliseconds, rounded up: what is old is never
// younger in a snapshot.
func appendDuration(b []byte, d time.Duration) []byte {
	return binary.AppendUvarint(b, uint64(max(d+time.Millisecond-1, 0)/time.Millisecond))
}

func appendText(b []byte, texts ...string) []byte {
	for _, text := range texts {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return b
}
