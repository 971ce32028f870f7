package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	journalName = "monitors.json"
	// maxJournal bounds what is read: DefaultMaxRegistered definitions of the
	// largest size that the API takes.
	maxJournal = 128 << 20
)

// Journal keeps the monitors registered at run time in a file, so that they are
// there after a restart. Each change replaces the whole file: written beside it,
// synced and renamed, so that there is always one that is whole.
type Journal struct {
	dir string
	// opened is what it held when it was opened.
	opened journalState
}

// Saved is one monitor in a Journal.
type Saved struct {
	ID int64 `json:"id"`
	// Text is the definition as it was registered.
	Text string `json:"text"`
	// Trusted is that of the Definition.
	Trusted bool `json:"trusted"`
	// Owner is that of the Definition.
	Owner string `json:"owner,omitempty"`
}

// journalState is what the file holds.
type journalState struct {
	// LastID is the highest id ever given, so that none is given twice.
	LastID   int64   `json:"last_id"`
	Monitors []Saved `json:"monitors"`
	// Key is what the names of receivers are made with.
	Key []byte `json:"key"`
}

// journalFile guards the state by a checksum of its bytes.
type journalFile struct {
	CRC32C uint32          `json:"crc32c"`
	State  json.RawMessage `json:"state"`
}

// OpenJournal makes the directory, readable to us only, if it is not there, and
// proves that it can be written. A file in it that is damaged is set aside; the
// error that says so is a *DamagedError, and the journal is usable all the same.
func OpenJournal(dir string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the state directory %q: %w", dir, err)
	}
	j := &Journal{dir: dir}
	var err error
	j.opened, err = j.load()
	var damaged *DamagedError
	if err != nil && !errors.As(err, &damaged) {
		return nil, err
	}
	if damaged != nil {
		if err := os.Rename(j.path(), damaged.Kept); err != nil {
			return nil, fmt.Errorf("setting a damaged journal aside: %w", err)
		}
		j.opened = journalState{}
	}
	if len(j.opened.Key) == 0 {
		j.opened.Key = newKey()
	}
	if err := j.save(j.opened); err != nil {
		return nil, errors.Join(damagedOrNil(damaged), err)
	}
	return j, damagedOrNil(damaged)
}

// damagedOrNil keeps a nil pointer from becoming an error.
func damagedOrNil(d *DamagedError) error {
	if d == nil {
		return nil
	}
	return d
}

// A DamagedError tells that the journal could not be read and where it is kept.
type DamagedError struct {
	Kept string
	Err  error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the journal of registered monitors is damaged and was set aside as %q: %v", e.Kept, e.Err)
}

// Unwrap returns what was wrong with it.
func (e *DamagedError) Unwrap() error { return e.Err }

func (j *Journal) path() string { return filepath.Join(j.dir, journalName) }

// load reads the file; one that is not there is empty.
func (j *Journal) load() (journalState, error) {
	f, err := os.Open(j.path())
	if errors.Is(err, fs.ErrNotExist) {
		return journalState{}, nil
	}
	if err != nil {
		return journalState{}, fmt.Errorf("reading the journal: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxJournal+1))
	if err != nil {
		return journalState{}, fmt.Errorf("reading the journal: %w", err)
	}
	state, err := decodeJournal(text)
	if err != nil {
		return journalState{}, &DamagedError{Kept: j.path() + ".corrupt", Err: err}
	}
	return state, nil
}

func decodeJournal(text []byte) (journalState, error) {
	var file journalFile
	var state journalState
	if len(text) > maxJournal {
		return state, fmt.Errorf("larger than %d bytes", maxJournal)
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return state, err
	}
	if got := checksum(file.State); got != file.CRC32C {
		return state, fmt.Errorf("checksum is %08x, want %08x", got, file.CRC32C)
	}
	return state, json.Unmarshal(file.State, &state)
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// save replaces the file. When it returns nil the state is on the disk.
func (j *Journal) save(state journalState) error {
	state.Key = j.opened.Key
	raw, err := json.Marshal(state)
	if err == nil {
		raw, err = json.Marshal(journalFile{CRC32C: checksum(raw), State: raw})
	}
	if err == nil {
		err = replaceFile(j.dir, j.path(), raw)
	}
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// replaceFile writes text to path so that, whatever happens, path holds either
// what it held or all of text.
func replaceFile(dir, path string, text []byte) error {
	tmp := path + ".new"
	if err := writeSynced(tmp, text); err != nil {
		return errors.Join(err, removeIfThere(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, removeIfThere(tmp))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
