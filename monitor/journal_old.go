package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/microhq/monitor-srv/state"
)

// The journal was one JSON document with one checksum. It is read once, written as a
// Journal, and retained under another name.

const (
	oldJournalName     = "monitors.json"
	retiredJournalName = oldJournalName + ".old"
)

// oldJournalFile protects the state with a checksum.
type oldJournalFile struct {
	CRC32C uint32          `json:"crc32c"`
	State  json.RawMessage `json:"state"`
}

func (j *Journal) oldPath() string { return filepath.Join(j.dir, oldJournalName) }

// decodeOldJournal reads the former format. It had no version: a key that is not known
// is taken for that of a newer program.
func decodeOldJournal(text []byte) (s journalState, err error) {
	var file oldJournalFile
	if err := state.UnmarshalKnown(text, &file); err != nil {
		return s, err
	}
	if got := state.Checksum(file.State); got != file.CRC32C {
		return s, fmt.Errorf("checksum is %08x, want %08x", got, file.CRC32C)
	}
	if err := state.UnmarshalKnown(file.State, &s); err != nil {
		return journalState{}, err
	}
	return s, s.repair()
}

// retireOld renames the file of the former format if there is one, now that the new one
// is durable.
func (j *Journal) retireOld() error {
	if j.retired {
		return nil
	}
	err := j.disk.Rename(j.oldPath(), filepath.Join(j.dir, retiredJournalName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	case err == nil:
		err = j.disk.SyncDir(j.dir)
	}
	j.retired = err == nil
	return err
}
