package monitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/microhq/monitor-srv/state"
)

const journalName = "monitors.json"

// Journal persists the monitors registered at run time in one file. Each change
// replaces the whole file: the new one is written beside it, synced and renamed, so
// that a complete file exists at any time.
type Journal struct {
	dir  string
	disk state.Disk
	// loaded is the content of the file when it was opened.
	loaded journalState
}

// journalEntry is one monitor in a Journal.
type journalEntry struct {
	ID int64 `json:"id"`
	// Text is the definition as it was registered.
	Text string `json:"text"`
	// Trusted and Owner are those of the Definition.
	Trusted bool   `json:"trusted"`
	Owner   string `json:"owner,omitempty"`
	// Name is that of the definition, also if it is no longer valid.
	Name string `json:"name,omitempty"`
	// Stopped is when the monitor was stopped, or zero.
	Stopped time.Time `json:"stopped,omitzero"`
}

// journalState is the content of the file.
type journalState struct {
	// LastID is the highest id ever assigned, so that none is reused.
	LastID   int64          `json:"last_id"`
	Monitors []journalEntry `json:"monitors"`
	// Files are the monitors of files, by id, including some that are not defined at
	// present.
	Files []fileEntry `json:"files,omitempty"`
	// Key is the key of the hashes in the names of inline receivers.
	Key []byte `json:"key"`
}

// journalFile protects the state with a checksum.
type journalFile struct {
	CRC32C uint32          `json:"crc32c"`
	State  json.RawMessage `json:"state"`
}

// OpenJournal creates the directory with mode 0700 if it does not exist, and checks
// that it is writable.
//
// A damaged file is set aside and reported by a *DamagedError. If an existing
// journal can be read but not written, for example on a full disk, the error is an
// *UnwritableError, and nothing can be registered until it is writable again. With
// these two errors the returned journal is usable.
func OpenJournal(dir string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the state directory %q: %w", dir, err)
	}
	return openJournalOn(state.OSDisk{}, dir)
}

func openJournalOn(d state.Disk, dir string) (*Journal, error) {
	j := &Journal{dir: dir, disk: d}
	text, err := d.ReadFile(j.path())
	exists := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	var damaged error
	if exists {
		if j.loaded, err = decodeJournal(text); err != nil {
			path, asideErr := state.SetAside(d, j.path(), text)
			damaged = errors.Join(&DamagedError{Copy: path, Err: err}, asideErr)
			j.loaded = journalState{}
		}
	}
	if len(j.loaded.Key) == 0 {
		j.loaded.Key = newKey()
	}
	err = j.save(j.loaded)
	switch {
	case err != nil && !exists:
		return nil, err
	case err != nil:
		return j, errors.Join(damaged, &UnwritableError{err})
	}
	return j, damaged
}

// DamagedError says that the journal could not be decoded.
type DamagedError struct {
	// Copy is the path of the damaged file, or empty if there is no room for a copy.
	Copy string
	Err  error
}

func (e *DamagedError) Error() string {
	if e.Copy == "" {
		return fmt.Sprintf("the journal of registered monitors is damaged: no monitor is restored, the file could not be set aside, and the next registration replaces it: %v", e.Err)
	}
	return fmt.Sprintf("the journal of registered monitors is damaged: no monitor is restored, the file was set aside as %q: %v", e.Copy, e.Err)
}

// Unwrap returns the error of decoding.
func (e *DamagedError) Unwrap() error { return e.Err }

// UnwritableError says that the journal was read but cannot be written.
type UnwritableError struct{ Err error }

func (e *UnwritableError) Error() string {
	return fmt.Sprintf("no monitor can be registered: %v", e.Err)
}

// Unwrap returns the error of the disk.
func (e *UnwritableError) Unwrap() error { return e.Err }

func (j *Journal) path() string { return filepath.Join(j.dir, journalName) }

func decodeJournal(text []byte) (journalState, error) {
	var file journalFile
	var decoded journalState
	if len(text) > state.MaxSize {
		return decoded, fmt.Errorf("larger than %d bytes", state.MaxSize)
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return decoded, err
	}
	if got := state.Checksum(file.State); got != file.CRC32C {
		return decoded, fmt.Errorf("checksum is %08x, want %08x", got, file.CRC32C)
	}
	return decoded, json.Unmarshal(file.State, &decoded)
}

// save replaces the file. After nil the state is durable.
func (j *Journal) save(s journalState) error {
	s.Key = j.loaded.Key
	raw, err := marshal(s)
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

// marshal returns v as JSON without HTML escapes, so that the text of a definition
// takes at most twice its size.
func marshal(v any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}
