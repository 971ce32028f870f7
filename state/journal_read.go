package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/microhq/monitor-srv/safefile"
)

// UnwritableError says that a journal was read but cannot be written for the moment, for
// example on a full disk.
type UnwritableError struct{ Err error }

func (e *UnwritableError) Error() string {
	return fmt.Sprintf("nothing can be changed until the journal can be written: %v", e.Err)
}

// Unwrap returns the error of the disk.
func (e *UnwritableError) Unwrap() error { return e.Err }

// OpenJournal reads the journal of a state directory and writes it anew. covered is the
// mark in the snapshot that will be read, or the zero Mark.
//
// What is lost of a damaged file is reported by a *DamagedError. The file of a newer
// program is left alone, nothing is read or written, and the error is a *NewerError. If
// an existing journal cannot be written, the error is an *UnwritableError. With these
// errors the returned journal is usable.
func OpenJournal(d Disk, dir string, kinds []Kind, covered Mark) (*Journal, error) {
	j := newJournal(d, dir, kinds)
	readErr := j.read(covered)
	exists := !errors.Is(readErr, fs.ErrNotExist)
	switch {
	case !exists:
		readErr = nil
	case errors.As(readErr, new(*NewerError)):
		j.Refuse(readErr)
		return j, readErr
	case readErr != nil && !errors.As(readErr, new(*DamagedError)):
		return nil, readErr
	}
	err := j.rewrite(nil)
	j.report(err)
	if err != nil && !exists {
		return nil, err
	}
	if err != nil {
		err = &UnwritableError{err}
	}
	return j, errors.Join(readErr, err)
}

// read reads the file into j.
func (j *Journal) read(covered Mark) error {
	f, err := j.disk.Open(j.path)
	if errors.Is(err, safefile.ErrTooLarge) || errors.Is(err, safefile.ErrUntrusted) {
		aside, asideErr := MoveAside(j.disk, j.path)
		return &DamagedError{Path: j.path, Aside: aside, Err: errors.Join(safefile.WithoutPath(err), asideErr)}
	}
	if err != nil {
		return fmt.Errorf("reading %q: %w", j.path, err)
	}
	l := loader{kinds: j.kinds}
	found, err := scan(f, journalLetter, l.add)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("reading %q: %w", j.path, err)
	}
	c, err := l.content(found)
	if errors.As(err, new(*NewerError)) {
		return fmt.Errorf("reading %q: %w", j.path, err)
	}
	if err == nil {
		err = l.damage(c, found.damaged, covered)
	}
	j.take(c, covered)
	if err != nil {
		aside, asideErr := CopyAside(j.disk, j.path)
		return &DamagedError{Path: j.path, Aside: aside, Err: errors.Join(err, asideErr)}
	}
	return nil
}

// damage says what is wrong with a file, or returns nil. A snapshot knows how long the
// journal was when it was begun.
func (l *loader) damage(c *content, damaged bool, covered Mark) error {
	lost, sound := c.seen.missing(), c.seen.end-c.seen.missing()
	if c.generation == covered.Generation && c.seen.end < covered.Records {
		lost += covered.Records - c.seen.end
	}
	if sound > 0 && c.generation < covered.Generation {
		return errors.New("it is older than the snapshot: what was changed since is lost")
	}
	return damage(damaged || len(l.found) > 1 || c.wrong, lost, sound)
}

// take takes what was read over into j, apart from what a snapshot has covered.
func (j *Journal) take(c *content, covered Mark) {
	j.newest = max(c.generation, covered.Generation)
	ids := make([]entryID, 0, len(c.entries))
	for id := range c.entries {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b entryID) int { return int(int64(c.entries[a].order) - int64(c.entries[b].order)) })
	for _, id := range ids {
		s := c.entries[id]
		known := c.generation < covered.Generation || c.generation == covered.Generation && s.order < covered.Records
		if !known || !j.kinds[id.kind].UntilSnapshot {
			j.setLocked(id, s.version, s.data)
		}
	}
}

// content is what a file holds of one generation.
type content struct {
	generation uint64
	hasHead    bool
	entries    map[entryID]stored // the order is the index; removed ones have no data
	changes    map[uint64]*change // not complete, by the index of the first record
	seen       indexes
	wrong      bool // records that cannot be
	newer      *NewerError
}

// loader collects the records of a journal. More than one generation is there only if
// others have mixed files.
type loader struct {
	kinds map[string]Kind
	found map[uint64]*content
}

func (l *loader) add(r placed) {
	c := l.found[r.generation]
	if c == nil {
		c = &content{generation: r.generation, entries: make(map[entryID]stored)}
		if l.found == nil {
			l.found = make(map[uint64]*content)
		}
		l.found[r.generation] = c
	}
	c.seen.add(r.index)
	if r.Kind == fileKind {
		c.addHead(r)
		return
	}
	known, ok := l.kinds[r.Kind]
	if !ok || r.Version > known.Version {
		c.newer = &NewerError{fmt.Sprintf("version %d of record %q, want at most %d", r.Version, r.Kind, known.Version)}
		return
	}
	key, data, ok := cutKey(r.Data)
	if !ok {
		c.wrong = true
		return
	}
	e := indexed{Entry{r.Kind, key, r.Version, bytes.Clone(data)}, r.index}
	if r.first == r.last {
		c.apply(e)
		return
	}
	if c.changes == nil {
		c.changes = make(map[uint64]*change)
	}
	if c.changes[r.first] == nil {
		c.changes[r.first] = &change{last: r.last, entries: make(map[uint64]indexed)}
	}
	c.changes[r.first].entries[r.index] = e
	if all := c.changes[r.first]; uint64(len(all.entries)) > all.last-r.first {
		c.finish(r.first)
	}
}

// indexed is an entry with the index of its record.
type indexed struct {
	Entry
	index uint64
}

// change is a change of several records, of which some were read.
type change struct {
	last    uint64
	entries map[uint64]indexed
}

func (c *content) apply(e indexed) {
	id := entryID{e.Kind, e.Key}
	if old, ok := c.entries[id]; !ok || old.order <= e.index {
		c.entries[id] = stored{e.Version, e.Data, e.index}
	}
}

// finish makes a change.
func (c *content) finish(first uint64) {
	for _, e := range c.changes[first].entries {
		c.apply(e)
	}
	delete(c.changes, first)
}

// finishChanges makes the changes of which a record is damaged, but none that was cut
// short, whose parts contradict each other.
func (c *content) finishChanges(found traces) {
	for first, change := range c.changes {
		if cut := found.zeros || !found.damaged && change.last >= c.seen.end; !cut {
			c.finish(first)
		}
	}
}

func (c *content) addHead(r placed) {
	var h head
	switch err := json.Unmarshal(r.Data, &h); {
	case r.Version > fileKindVersion:
		c.newer = &NewerError{fmt.Sprintf("version %d of record %q, want at most %d", r.Version, r.Kind, fileKindVersion)}
	case err != nil || h.Holds != journalHolds:
		c.wrong = true
	default:
		c.hasHead = true
	}
}

// content returns the newest generation that has its head, or else the newest one.
func (l *loader) content(found traces) (*content, error) {
	var best *content
	for _, c := range l.found {
		if best == nil || c.hasHead && !best.hasHead || c.hasHead == best.hasHead && c.generation > best.generation {
			best = c
		}
	}
	if best == nil {
		return &content{}, nil
	}
	if best.newer != nil {
		return nil, best.newer
	}
	best.finishChanges(found)
	return best, nil
}
