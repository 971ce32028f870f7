package monitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/microhq/monitor-srv/state"
)

const journalName = "monitors.json"

// Journal keeps the monitors registered at run time in a file, so that they are
// there after a restart. Each change replaces the whole file: written beside it,
// synced and renamed, so that there is always one that is whole.
type Journal struct {
	dir  string
	disk state.Disk
	// opened is what it held when it was opened.
	loaded journalState
}

// Saved is one monitor in a Journal.
type journalEntry struct {
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
	LastID   int64          `json:"last_id"`
	Monitors []journalEntry `json:"monitors"`
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
// So it is if the disk refuses although it took a journal before, as a full one
// does: the error is an *UnwritableError, and until there is room again nothing
// can be registered.
func OpenJournal(dir string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the state directory %q: %w", dir, err)
	}
	return openJournalOn(state.OSDisk{}, dir)
}

func openJournalOn(d state.Disk, dir string) (*Journal, error) {
	j := &Journal{dir: dir, disk: d}
	text, err := d.ReadFile(j.path())
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	var damaged error
	if there {
		if j.loaded, err = decodeJournal(text); err != nil {
			kept, failed := state.SetAside(d, j.path(), text)
			damaged = errors.Join(&DamagedError{Copy: kept, Err: err}, failed)
			j.loaded = journalState{}
		}
	}
	if len(j.loaded.Key) == 0 {
		j.loaded.Key = newKey()
	}
	err = j.save(j.loaded)
	switch {
	case err != nil && !there:
		return nil, err
	case err != nil:
		return j, errors.Join(damaged, &UnwritableError{err})
	}
	return j, damaged
}

// A DamagedError tells that the journal could not be read and where it is kept;
// Kept is empty if there was no room for a copy.
type DamagedError struct {
	Copy string
	Err  error
}

func (e *DamagedError) Error() string {
	if e.Copy == "" {
		return fmt.Sprintf("the journal of registered monitors is damaged, none is restored, and it could not be set aside: the next registration replaces it: %v", e.Err)
	}
	return fmt.Sprintf("the journal of registered monitors is damaged, none is restored; it was set aside as %q: %v", e.Copy, e.Err)
}

// Unwrap returns what was wrong with it.
func (e *DamagedError) Unwrap() error { return e.Err }

// An UnwritableError tells that the journal was read and cannot be written.
type UnwritableError struct{ Err error }

func (e *UnwritableError) Error() string {
	return fmt.Sprintf("no monitor can be registered: %v", e.Err)
}

// Unwrap returns what the disk said.
func (e *UnwritableError) Unwrap() error { return e.Err }

func (j *Journal) path() string { return filepath.Join(j.dir, journalName) }

func decodeJournal(text []byte) (journalState, error) {
	var file journalFile
	var held journalState
	if len(text) > state.MaxSize {
		return held, fmt.Errorf("larger than %d bytes", state.MaxSize)
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return held, err
	}
	if got := state.Checksum(file.State); got != file.CRC32C {
		return held, fmt.Errorf("checksum is %08x, want %08x", got, file.CRC32C)
	}
	return held, json.Unmarshal(file.State, &held)
}

// save replaces the file. When it returns nil the state is on the disk.
func (j *Journal) save(held journalState) error {
	held.Key = j.loaded.Key
	raw, err := marshal(held)
	if err == nil {
		raw, err = marshal(journalFile{CRC32C: state.Checksum(raw), State: raw})
	}
	if err == nil {
		err = state.Replace(j.disk, j.path(), raw)
	}
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// compact returns v as JSON in which no letter takes more than two bytes for each
// of its own.
func marshal(v any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}
