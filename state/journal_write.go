package state

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// commit writes b unless that was done. The caller has the turn.
func (j *Journal) commit(b *batch) {
	select {
	case <-b.done:
		return
	default:
	}
	j.mu.Lock()
	j.next = nil // it was b: only who has the turn takes it away
	j.mu.Unlock()
	if b.err = j.write(b.changes); b.err == nil {
		j.apply(b.changes)
	}
	j.report(b.err)
	close(b.done)
	if j.file != nil && j.size > j.limit {
		if err := j.rewrite(nil); err != nil {
			j.limit = j.size + j.slack // not at each change
			j.report(err)
		}
	}
}

// write writes changes. The caller has the turn.
func (j *Journal) write(changes [][]Entry) error {
	if j.file == nil {
		return j.rewrite(slices.Concat(changes...))
	}
	at := j.at
	buf := j.buf[:0]
	changed := make(map[entryID]bool)
	for _, entries := range changes {
		at.first, at.last = at.index, at.index+uint64(len(entries))-1
		for _, e := range entries {
			id := entryID{e.Kind, e.Key}
			_, known := j.live[id]
			// If the only copy of a change were damaged, what it replaced would come back.
			for range 1 + btoi(known || changed[id]) {
				buf = j.encoder.line(buf, at, e.Kind, j.kinds[e.Kind].Version, keyOf(e), e.Data)
			}
			changed[id] = true
			at.index++
		}
	}
	at.first, at.last = 0, 0
	if j.buf = buf; cap(buf) > writeSize {
		j.buf = nil
	}
	_, err := j.file.Write(buf)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		// What the file holds now is not known: a sync that follows a failed one
		// reports success for what is lost.
		err = errors.Join(err, j.file.Close())
		j.file = nil
		return fmt.Errorf("writing %q: %w", j.path, err)
	}
	j.at, j.size = at, j.size+int64(len(buf))
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// keyOf returns the key of an entry with its length, so that data may follow.
func keyOf(e Entry) []byte {
	return append(strconv.AppendInt(make([]byte, 0, len(e.Key)+8), int64(len(e.Key)), 10), ":"+e.Key...)
}

// apply makes changes in memory. The caller has the turn.
func (j *Journal) apply(changes [][]Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range slices.Concat(changes...) {
		j.setLocked(entryID{e.Kind, e.Key}, j.kinds[e.Kind].Version, e.Data)
	}
	j.mark = Mark{j.at.generation, j.at.index, j.order}
}

func (j *Journal) setLocked(id entryID, version int, data []byte) {
	if old, ok := j.live[id]; ok {
		j.used -= old.size(id)
		delete(j.live, id)
	}
	j.order++
	if len(data) > 0 {
		s := stored{version, data, j.order}
		j.live[id] = s
		j.used += s.size(id)
	}
}

func (s stored) size(id entryID) int64 {
	return int64(lineSize + len(id.kind) + len(id.key) + len(s.data))
}

func (j *Journal) compareLocked(a, b entryID) int {
	return int(int64(j.live[a].order) - int64(j.live[b].order))
}

// rewrite writes a new file with all entries, as they are after the changes, and
// goes on in it. If that fails before the old file was replaced, that stays in use. The
// caller has the turn.
func (j *Journal) rewrite(changes []Entry) error {
	live := j.merged(changes)
	j.newest++
	w, renamed, err := create(j.disk, j.path+".new", j.path, place{letter: journalLetter, generation: j.newest}, func(w *writer) error {
		if err := w.addHead(fileKind, head{Holds: journalHolds}); err != nil {
			return err
		}
		for _, e := range live {
			if err := w.add(e.Kind, e.Version, keyOf(e), e.Data); err != nil {
				return err
			}
		}
		return nil
	})
	if (renamed || err == nil) && j.file != nil {
		_ = j.file.Close() // all that it holds is in the new one
		j.file = nil
	}
	if err != nil {
		return fmt.Errorf("writing %q: %w", j.path, err)
	}
	j.file, j.at, j.size = w.file, w.at, w.size
	j.limit = 2*j.size + j.slack
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mark = Mark{j.at.generation, j.at.index, j.order}
	return nil
}

// merged returns the entries as they are after the changes, in their order.
func (j *Journal) merged(changes []Entry) []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	changed := make(map[entryID]int, len(changes)) // the last change
	for i, e := range changes {
		changed[entryID{e.Kind, e.Key}] = i
	}
	var all []Entry
	for _, id := range slices.SortedFunc(maps.Keys(j.live), j.compareLocked) {
		if _, ok := changed[id]; !ok {
			s := j.live[id]
			all = append(all, Entry{id.kind, id.key, s.version, s.data})
		}
	}
	for i, e := range changes {
		if e.Version = j.kinds[e.Kind].Version; len(e.Data) > 0 && changed[entryID{e.Kind, e.Key}] == i {
			all = append(all, e)
		}
	}
	return all
}
