package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
)

// writeSize is how much is written at a time, and syncSize how much between two syncs of
// a large file: a sync of the journal waits for what else is on its way to the disk.
const (
	writeSize = 256 << 10
	syncSize  = 8 << 20
)

// head is the data of record 0, which says what a file holds. A snapshot ends with a
// copy of it.
type head struct {
	Holds string `json:"holds"`
	// Journal is where the journal was when a snapshot was begun, Moment when that was.
	Journal Mark   `json:"journal,omitzero"`
	Moment  Moment `json:"moment,omitzero"`
}

// writer writes a new file record by record.
type writer struct {
	file     File
	at       place
	buf      []byte
	encoder  encoder
	size     int64
	unsynced int
}

// add writes a record, which reaches the file later.
func (w *writer) add(kind string, version int, data ...[]byte) error {
	before := len(w.buf)
	w.buf = w.encoder.line(w.buf, w.at, kind, version, data...)
	w.at.index++
	w.size += int64(len(w.buf) - before)
	if len(w.buf) < writeSize {
		return nil
	}
	return w.flush()
}

// addHead writes what the file holds.
func (w *writer) addHead(kind string, h head) error {
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return w.add(kind, fileKindVersion, data)
}

func (w *writer) flush() error {
	n, err := w.file.Write(w.buf)
	w.buf = w.buf[:0]
	if w.unsynced += n; err == nil && w.unsynced >= syncSize {
		w.unsynced = 0
		err = w.file.Sync()
	}
	return err
}

// create writes a new file with records from fill and puts it in the place of path:
// after a crash path holds the old file or all of the new one. renamed is true if that
// may be so although the error is not nil. The caller closes the file.
func create(d Disk, tmp, path string, at place, fill func(*writer) error) (w *writer, renamed bool, err error) {
	f, err := d.Create(tmp)
	if err != nil {
		return nil, false, err
	}
	w = &writer{file: f, at: at}
	if err = fill(w); err == nil {
		err = w.flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = d.Rename(tmp, path)
	}
	if err != nil {
		return nil, false, errors.Join(err, f.Close(), d.Remove(tmp))
	}
	if err = d.SyncDir(filepath.Dir(path)); err != nil {
		return nil, true, errors.Join(err, f.Close())
	}
	return w, true, nil
}

// damage describes what scan has found, or returns nil.
func damage(damaged bool, lost, sound uint64) error {
	switch {
	case sound == 0:
		return errors.New("no record is sound")
	case lost > 0:
		return fmt.Errorf("%d of %d records are lost", lost, lost+sound)
	case damaged:
		return fmt.Errorf("some bytes are wrong; the first %d records are sound", sound)
	}
	return nil
}
