package monitor

import (
	"errors"
	"fmt"
	"time"

	"github.com/microhq/monitor-srv/state"
)

// Journal persists the monitors registered at run time, and the ids and stops of all, as
// records of the journal of the state directory. It writes what has changed.
type Journal struct {
	records *state.Journal
	// loaded is what the last run has left.
	loaded journalState
	// written is what the records say.
	written journalRecords
	// refused is why the file of an older version is left alone, or nil.
	refused error
	// retired is set once no such file is there.
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

// journalState is what a Journal holds.
type journalState struct {
	// LastID is the highest id ever assigned, so that none is reused.
	LastID   int64          `json:"last_id"`
	Monitors []journalEntry `json:"monitors"`
	// Files are the monitors of files, by id, including some that are not defined at
	// present.
	Files []fileEntry `json:"-"`
	// Key is the key of the hashes in the names of inline receivers.
	Key []byte `json:"key"`
}

// OpenJournal reads the records, or the file that an older version has left, which
// replaces them.
//
// What cannot be used is reported by an error, and so is a file of a newer version: it
// is left alone, and nothing can be registered. If the records cannot be written for the
// moment, the error is a *state.UnwritableError. With all of them the returned Journal
// is usable.
func OpenJournal(records *state.Journal) (*Journal, error) {
	j := &Journal{records: records}
	readErr := j.read()
	if err := j.Refused(); err != nil {
		j.loaded = journalState{Key: newKey()}
		return j, fmt.Errorf("no monitor is restored and none can be registered: %w", err)
	}
	if len(j.loaded.Key) == 0 {
		j.loaded.Key = newKey()
	}
	if err := j.save(j.loaded); err != nil {
		return j, errors.Join(readErr, &state.UnwritableError{Err: err})
	}
	return j, readErr
}

// read reads the records and the file of an older version.
func (j *Journal) read() error {
	err := j.readRecords()
	var old journalState
	found, oldErr := j.records.ReadOld(oldJournalName, func(text []byte) (err error) {
		old, err = decodeOldJournal(text)
		return err
	})
	j.retired = !found
	if errors.As(oldErr, new(*state.NewerError)) {
		j.refused = oldErr
		return errors.Join(err, oldErr)
	}
	if found && (oldErr == nil || len(j.loaded.Key) == 0) {
		old.LastID, old.Files = max(old.LastID, j.loaded.LastID), j.loaded.Files
		oldErr = errors.Join(oldErr, old.repair())
		j.loaded = old
	}
	if oldErr != nil {
		oldErr = fmt.Errorf("the registered monitors of an older version are incomplete: %d monitors are restored: %w", len(j.loaded.Monitors), oldErr)
	}
	return errors.Join(err, oldErr)
}

func (j *Journal) path() string { return j.records.Path() }

// Refused returns why nothing is read or written, or nil.
func (j *Journal) Refused() error {
	if j.refused != nil {
		return j.refused
	}
	return j.records.Refused()
}

// save writes what has changed. After nil the state is durable.
func (j *Journal) save(s journalState) error {
	if err := j.Refused(); err != nil {
		return err
	}
	s.Key = j.loaded.Key
	changes, written, err := j.written.changes(s)
	if err == nil {
		err = j.records.Set(changes...)
	}
	if err == nil && !j.retired {
		err = j.records.RetireOld(oldJournalName)
	}
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	j.written, j.retired = written, true
	return nil
}
