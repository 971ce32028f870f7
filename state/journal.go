package state

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	journalName  = "journal"
	journalHolds = "journal"
	// maxLive bounds the size of all that a Journal holds, in bytes: 1,000 definitions
	// of 64 KiB, which JSON may double, and as much again.
	maxLive = 256 << 20
	// compactSlack is how much larger than twice what it holds a journal becomes.
	compactSlack = 1 << 20
	// repairInterval is the time between two attempts to write again after a failure.
	repairInterval = 2 * time.Second
	// lineSize is about what a record takes in addition to kind, key and data.
	lineSize = 48
)

// A Kind is a kind of records of a Journal.
type Kind struct {
	// Name holds neither spaces nor slashes.
	Name string
	// Version is the form in which data is written, from 1. Older ones are read.
	Version int
	// UntilSnapshot says that a record need not be retained once a snapshot was begun
	// after it was written, and is on the disk.
	UntilSnapshot bool
}

// An Entry is what a Journal holds under a key of a kind.
type Entry struct {
	Kind, Key string
	// Version is that of Data. Set ignores it.
	Version int
	// Data is not empty; for Set, empty Data removes the entry.
	Data []byte
}

// Mark is a position in a journal: its generation, and the number of its records.
type Mark struct {
	Generation uint64 `json:"generation"`
	Records    uint64 `json:"records"`
	order      uint64
}

// A Journal is a durable map in one file, to which changes are appended. It is written
// anew, in the next generation, when it is opened, when most of it is outdated, and
// after a failed write. All methods may be called concurrently.
type Journal struct {
	tracker
	refused atomic.Pointer[refusal] // nil: it is written
	disk    Disk
	path    string
	kinds   map[string]Kind

	// turn holds a token while somebody writes. It guards all following fields.
	turn    chan struct{}
	file    File // nil: the next change writes a new file
	at      place
	newest  uint64 // generation; that of at, or one whose file could not be written
	size    int64  // of the file, in bytes
	limit   int64  // compact above this size
	slack   int64
	encoder encoder
	buf     []byte

	mu    sync.Mutex // guards all following fields; those of live are written with turn too
	next  *batch     // of changes that wait for the disk
	live  map[entryID]stored
	used  int64 // by live, in bytes
	order uint64
	mark  Mark
}

type entryID struct{ kind, key string }

// stored is an entry with the order of its last change.
type stored struct {
	version int
	data    []byte
	order   uint64
}

// refusal is why the file is left alone.
type refusal struct{ err error }

// batch is a group of changes that one write makes durable.
type batch struct {
	changes [][]Entry
	done    chan struct{} // closed once err is set
	err     error
}

func newJournal(d Disk, dir string, kinds []Kind) *Journal {
	j := &Journal{
		disk: d, path: filepath.Join(dir, journalName),
		kinds: make(map[string]Kind), live: make(map[entryID]stored),
		turn: make(chan struct{}, 1), slack: compactSlack, tracker: newTracker(),
	}
	for _, k := range kinds {
		j.kinds[k.Name] = k
	}
	return j
}

// Records returns the entries of a kind in the order of their last change.
func (j *Journal) Records(kind string) []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	var ids []entryID
	for id := range j.live {
		if id.kind == kind {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, j.compareLocked)
	all := make([]Entry, 0, len(ids))
	for _, id := range ids {
		s := j.live[id]
		all = append(all, Entry{Kind: kind, Key: id.key, Version: s.version, Data: s.data})
	}
	return all
}

// Set makes a change durable, in the order of its entries. After nil it survives a kill
// and a power failure. After an error it is not made, though it may come back after a
// sudden end until something else is written; in any case all of it or nothing. Changes that wait for the disk at the same time
// share one write. Data must not be changed afterwards.
func (j *Journal) Set(entries ...Entry) error {
	if len(entries) == 0 {
		return nil
	}
	return j.commitWith(entries)
}

// Sync waits until the disk has taken a write, also if nothing has changed.
func (j *Journal) Sync() error { return j.commitWith(nil) }

func (j *Journal) commitWith(entries []Entry) error {
	b, err := j.enqueue(entries)
	if err != nil {
		return fmt.Errorf("writing %q: %w", j.path, err)
	}
	select {
	case <-b.done:
	case j.turn <- struct{}{}:
		j.commit(b)
		<-j.turn
	}
	return b.err
}

// enqueue adds changes to the next batch.
func (j *Journal) enqueue(entries []Entry) (*batch, error) {
	size := int64(0)
	for _, e := range entries {
		n := len(e.Key) + len(e.Data) + len(strconv.Itoa(len(e.Key))) + 1
		switch {
		case j.kinds[e.Kind].Version == 0:
			return nil, fmt.Errorf("records of kind %q are not declared", e.Kind)
		case n > maxRecord:
			return nil, fmt.Errorf("a record of kind %q has %d bytes, want at most %d", e.Kind, n, maxRecord)
		case len(e.Data) > 0:
			size += int64(n)
		}
	}
	if err := j.Refused(); err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.used+size > maxLive {
		return nil, fmt.Errorf("it would hold more than %d MiB", maxLive>>20)
	}
	if j.next == nil {
		j.next = &batch{done: make(chan struct{})}
	}
	j.next.changes = append(j.next.changes, entries)
	return j.next, nil
}

// Mark returns the present position. A snapshot that is begun now holds what was
// written before.
func (j *Journal) Mark() Mark {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mark
}

// Covered says that a snapshot that was begun at the mark is on the disk: entries of
// kinds that are retained until then are dropped.
func (j *Journal) Covered(m Mark) {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	j.mu.Lock()
	defer j.mu.Unlock()
	for id, s := range j.live {
		if j.kinds[id.kind].UntilSnapshot && s.order <= m.order {
			j.used -= s.size(id)
			delete(j.live, id)
		}
	}
}

// Run writes the file anew after a failed write, until ctx ends, so that the failure
// ends without a change.
func (j *Journal) Run(ctx context.Context) error {
	for {
		select {
		case <-time.After(repairInterval):
			j.repair(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

func (j *Journal) repair(ctx context.Context) {
	if j.Health().OK || j.Refused() != nil {
		return
	}
	select {
	case j.turn <- struct{}{}:
		j.report(j.rewrite(nil))
		<-j.turn
	case <-ctx.Done():
	}
}

// Refused returns why the file is left alone and nothing can be written, or nil.
func (j *Journal) Refused() error {
	if r := j.refused.Load(); r != nil {
		return r.err
	}
	return nil
}

// Refuse leaves the file alone from now on: a room has found in it what a newer program
// has written.
func (j *Journal) Refuse(err error) {
	j.refused.Store(&refusal{err})
	j.report(err)
}

// Close closes the file. Nothing can be written any more.
func (j *Journal) Close() error {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	j.refused.CompareAndSwap(nil, &refusal{errors.New("the journal is closed")})
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}
