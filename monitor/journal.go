package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/microhq/monitor-srv/state"
)

const journalName = "monitors"

// Journal persists the monitors registered at run time, and the ids and stops of all,
// in one file. Each change replaces the whole file, so that a complete file exists at
// any time and no change before the last one can come back.
type Journal struct {
	dir  string
	disk state.Disk
	// loaded is the content of the file when it was opened.
	loaded journalState
	// refused is why the file is left alone, or nil.
	refused error
	// retired is set once no file of the former format is there.
	retired bool
}

// journalEntry is one registered monitor in a Journal.
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

// OpenJournal reads the journal of a state directory, or the one that an older program
// has left there.
//
// What is lost of a damaged file is reported by a *state.DamagedError. The file of a
// newer program is left alone, nothing is restored, and the error is a
// *state.NewerError. If an existing journal can be read but not written, for example on
// a full disk, the error is an *UnwritableError, and nothing can be registered until it
// is writable again. With these errors the returned journal is usable.
func OpenJournal(d state.Disk, dir string) (*Journal, error) {
	j := &Journal{dir: dir, disk: d}
	exists, readErr := j.read()
	var newer *state.NewerError
	var damaged *state.DamagedError
	switch {
	case errors.As(readErr, &newer):
		j.refused = readErr
		j.loaded = journalState{Key: newKey()}
		return j, fmt.Errorf("no monitor is restored and none can be registered: %w", readErr)
	case errors.As(readErr, &damaged):
		readErr = fmt.Errorf("the journal of registered monitors is incomplete: %d monitors are restored: %w", len(j.loaded.Monitors), readErr)
	case readErr != nil:
		return nil, fmt.Errorf("reading the journal: %w", readErr)
	}
	if len(j.loaded.Key) == 0 {
		j.loaded.Key = newKey()
	}
	err := j.save(j.loaded)
	switch {
	case err != nil && !exists:
		return nil, err
	case err != nil:
		return j, errors.Join(readErr, &UnwritableError{err})
	}
	return j, readErr
}

// read reads the file, or that of the former format if there is none. exists is true if
// there is one of them.
func (j *Journal) read() (exists bool, err error) {
	err = state.Load(j.disk, j.path(), func(text []byte) (err error) {
		j.loaded, err = decodeJournal(text)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = state.Load(j.disk, j.oldPath(), func(text []byte) (err error) {
			j.loaded, err = decodeOldJournal(text)
			return err
		})
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return true, err
}

// UnwritableError says that the journal was read but cannot be written.
type UnwritableError struct{ Err error }

func (e *UnwritableError) Error() string {
	return fmt.Sprintf("no monitor can be registered: %v", e.Err)
}

// Unwrap returns the error of the disk.
func (e *UnwritableError) Unwrap() error { return e.Err }

func (j *Journal) path() string { return filepath.Join(j.dir, journalName) }

// Refused returns why the file is left alone, or nil.
func (j *Journal) Refused() error { return j.refused }

// save replaces the file. After nil the state is durable.
func (j *Journal) save(s journalState) error {
	if j.refused != nil {
		return j.refused
	}
	s.Key = j.loaded.Key
	text, err := encodeJournal(s)
	if err == nil {
		err = state.Replace(j.disk, j.path(), text)
	}
	if err == nil {
		err = j.retireOld()
	}
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}
