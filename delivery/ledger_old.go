package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/microhq/monitor-srv/state"
)

// oldLedgerName is the name of the former ledger. It had one JSON record a line, each
// after the checksum of its bytes. The first one held the number of the others.
const oldLedgerName = "ledger"

const oldLedgerVersion = 1

// oldLedgerRecord is one line.
type oldLedgerRecord struct {
	Head *struct {
		Version int `json:"version"`
		Records int `json:"records"` // without the head
	} `json:"head,omitempty"`
	ledgerRecord
}

// readOld returns what the file of an older version holds, or else the snapshot. What is
// lost of the file is logged. An error is that of a newer program.
func (l *Ledger) readOld(snapshot Snapshot) (Snapshot, error) {
	var old Snapshot
	found, err := l.journal.ReadOld(oldLedgerName, func(text []byte) (err error) {
		old, err = decodeOldSnapshot(text)
		return err
	})
	if l.retired = !found; !found || errors.As(err, new(*state.NewerError)) {
		return snapshot, err
	}
	if err != nil {
		l.log.Error("the ledger of an older version is damaged: lost incidents start over, lost notifications are not sent", "err", err)
	}
	return old, nil
}

// decodeOldSnapshot returns all sound records, and an error if some are lost.
func decodeOldSnapshot(text []byte) (Snapshot, error) {
	var d snapshotDecoder
	read, want := 0, -1
	for line := range bytes.Lines(text) {
		r, ok := decodeOldRecord(bytes.TrimSuffix(line, []byte("\n")))
		switch {
		case ok && r.Head != nil:
			if want = r.Head.Records; r.Head.Version > oldLedgerVersion {
				return Snapshot{}, &state.NewerError{Reason: fmt.Sprintf("version %d of the ledger", r.Head.Version)}
			}
		case ok && d.add(r.ledgerRecord):
			read++
		}
	}
	switch {
	case want < 0:
		return d.sorted(), fmt.Errorf("the first line is damaged: read %d records of an unknown number", read)
	case read != want:
		return d.sorted(), fmt.Errorf("%d of %d records are lost", want-read, want)
	}
	return d.sorted(), nil
}

// decodeOldRecord reads a line without its newline.
func decodeOldRecord(line []byte) (r oldLedgerRecord, ok bool) {
	sum, raw, _ := bytes.Cut(line, []byte(" "))
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if err != nil || uint32(want) != state.Checksum(raw) {
		return r, false
	}
	return r, json.Unmarshal(raw, &r) == nil
}
