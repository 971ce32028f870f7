package monitor

import (
	"encoding/json"
	"fmt"

	"github.com/microhq/monitor-srv/state"
)

// oldJournalName is the name of the former journal, one JSON document with one checksum.
const oldJournalName = "monitors.json"

// oldJournalFile protects the state with a checksum.
type oldJournalFile struct {
	CRC32C uint32          `json:"crc32c"`
	State  json.RawMessage `json:"state"`
}

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
