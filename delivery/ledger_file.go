package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/state"
)

// The file of a Ledger has one JSON record a line, each after the checksum of its
// bytes. The first record holds the number of the others. A line that does not match
// its checksum is skipped; the others are read.

// ledgerVersion is the version of the file format. Files of other versions are not
// read.
const ledgerVersion = 1

// ledgerRecord is one line: the head, an open incident, or a part of what is pending
// at a receiver.
type ledgerRecord struct {
	Head         *ledgerHead          `json:"head,omitempty"`
	Incident     *Incident            `json:"incident,omitempty"`
	Receiver     string               `json:"receiver,omitempty"`
	Notification *action.Notification `json:"notice,omitempty"`
	// Attempted belongs to Notification.
	Attempted bool `json:"tried,omitempty"`
	// Monitor and Notified are an entry of Pending.Notified.
	Monitor  string `json:"monitor,omitempty"`
	Notified string `json:"told,omitempty"`
	// Absent is Pending.Absent.
	Absent time.Time `json:"absent,omitzero"`
}

// ledgerHead is the first record.
type ledgerHead struct {
	Version int `json:"version"`
	Records int `json:"records"` // without the head
}

// encodeSnapshot returns s as the content of a file.
func encodeSnapshot(s Snapshot) ([]byte, error) {
	records := make([]ledgerRecord, 0, len(s.Incidents))
	for _, i := range s.Incidents {
		records = append(records, ledgerRecord{Incident: &i})
	}
	for _, p := range s.Pending {
		attempted := make(map[string]bool, len(p.Attempted))
		for _, key := range p.Attempted {
			attempted[key] = true
		}
		for monitor, incident := range p.Notified {
			records = append(records, ledgerRecord{Receiver: p.Receiver, Monitor: monitor, Notified: incident})
		}
		for i := range p.Notifications {
			n := &p.Notifications[i]
			records = append(records, ledgerRecord{Receiver: p.Receiver, Notification: n, Attempted: len(attempted) > 0 && attempted[n.Key()]})
		}
		if !p.Absent.IsZero() {
			records = append(records, ledgerRecord{Receiver: p.Receiver, Absent: p.Absent})
		}
	}
	var text bytes.Buffer
	for _, r := range slices.Insert(records, 0, ledgerRecord{Head: &ledgerHead{ledgerVersion, len(records)}}) {
		raw, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&text, "%08x %s\n", state.Checksum(raw), raw)
	}
	return text.Bytes(), nil
}

// decodeSnapshot reads what encodeSnapshot wrote. For a damaged file it returns the
// intact records and an error that says what is lost.
func decodeSnapshot(text []byte) (Snapshot, error) {
	if len(text) > state.MaxSize {
		return Snapshot{}, fmt.Errorf("the file is larger than %d bytes", state.MaxSize)
	}
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	first, ok := decodeRecord(line)
	if ok && first.Head != nil && first.Head.Version != ledgerVersion {
		return Snapshot{}, fmt.Errorf("unknown version %d", first.Head.Version)
	}
	var d snapshotDecoder
	damaged := 0
	for line := range bytes.Lines(rest) {
		r, ok := decodeRecord(bytes.TrimSuffix(line, []byte("\n")))
		if !ok || !d.add(r) {
			damaged++
		}
	}
	switch {
	case !ok || first.Head == nil:
		return d.snapshot, fmt.Errorf("the first line is damaged: read %d records of an unknown number", d.read)
	case damaged > 0 || d.read != first.Head.Records:
		return d.snapshot, fmt.Errorf("%d of %d records are lost", first.Head.Records-d.read, first.Head.Records)
	case !bytes.HasSuffix(text, []byte("\n")):
		return d.snapshot, errors.New("the end of the file is missing")
	}
	return d.snapshot, nil
}

// decodeRecord reads a line without its newline.
func decodeRecord(line []byte) (r ledgerRecord, ok bool) {
	sum, raw, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(sum) != 8 {
		return r, false
	}
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if err != nil || uint32(want) != state.Checksum(raw) {
		return r, false
	}
	return r, json.Unmarshal(raw, &r) == nil
}

// snapshotDecoder assembles a Snapshot from records.
type snapshotDecoder struct {
	snapshot Snapshot
	read     int
	at       map[string]int // index into snapshot.Pending by receiver
}

// add adds a record. It reports whether the record is valid.
func (d *snapshotDecoder) add(r ledgerRecord) bool {
	switch {
	case r.Incident != nil:
		d.snapshot.Incidents = append(d.snapshot.Incidents, *r.Incident)
	case r.Receiver != "":
		d.receiver(r)
	default:
		return false
	}
	d.read++
	return true
}

func (d *snapshotDecoder) receiver(r ledgerRecord) {
	i, ok := d.at[r.Receiver]
	if !ok {
		if d.at == nil {
			d.at = make(map[string]int)
		}
		i = len(d.snapshot.Pending)
		d.at[r.Receiver] = i
		d.snapshot.Pending = append(d.snapshot.Pending, Pending{Receiver: r.Receiver, Notified: map[string]string{}})
	}
	p := &d.snapshot.Pending[i]
	switch {
	case r.Notification != nil:
		p.Notifications = append(p.Notifications, *r.Notification)
		if r.Attempted {
			p.Attempted = append(p.Attempted, r.Notification.Key())
		}
	case r.Notified != "":
		p.Notified[r.Monitor] = r.Notified
	default:
		p.Absent = r.Absent
	}
}
