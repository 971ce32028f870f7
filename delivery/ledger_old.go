package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/microhq/monitor-srv/state"
)

// A ledger had one JSON record a line, each after the checksum of its bytes. The first
// record held the number of the others. It is read once and written as a state.Format.

// oldLedgerRecord is one line.
type oldLedgerRecord struct {
	Head *struct {
		Records int `json:"records"` // without the head
	} `json:"head,omitempty"`
	ledgerRecord
}

// isOldLedger reports whether the first line is a checksum and a JSON object.
func isOldLedger(text []byte) bool {
	return len(text) > 10 && text[8] == ' ' && text[9] == '{'
}

// decodeOldSnapshot returns all sound records, and an error if some are lost.
func decodeOldSnapshot(text []byte) (Snapshot, error) {
	var d snapshotDecoder
	read, want := 0, -1
	for line := range bytes.Lines(text) {
		r, ok := decodeOldRecord(bytes.TrimSuffix(line, []byte("\n")))
		switch {
		case ok && r.Head != nil:
			want = r.Head.Records
		case ok && d.add(r.ledgerRecord):
			read++
		}
	}
	switch {
	case want < 0:
		return d.snapshot, fmt.Errorf("the first line is damaged: read %d records of an unknown number", read)
	case read != want:
		return d.snapshot, fmt.Errorf("%d of %d records are lost", want-read, want)
	}
	return d.snapshot, nil
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
