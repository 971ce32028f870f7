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

// The file of a Ledger has one record a line, as JSON behind the checksum of its
// bytes. The first says how many there are. A line that does not fit its
// checksum is as good as not there; the others are.

// ledgerVersion is that of the file. Another one is not read.
const ledgerVersion = 1

// ledgerRecord is one line: the head, an open incident, or something of a
// receiver.
type ledgerRecord struct {
	Head         *ledgerHead          `json:"head,omitempty"`
	Incident     *Incident            `json:"incident,omitempty"`
	Receiver     string               `json:"receiver,omitempty"`
	Notification *action.Notification `json:"notice,omitempty"`
	// Tried belongs to Notice.
	Attempted bool `json:"tried,omitempty"`
	// Monitor and Told are an incident whose failure was told.
	Monitor  string `json:"monitor,omitempty"`
	Notified string `json:"told,omitempty"`
	// Absent is that of the receiver.
	Absent time.Time `json:"absent,omitzero"`
}

// ledgerHead is the first line.
type ledgerHead struct {
	Version int `json:"version"`
	Records int `json:"records"` // without the head
}

// encodeKept writes k as the content of a file.
func encodeSnapshot(k Snapshot) ([]byte, error) {
	records := make([]ledgerRecord, 0, len(k.Incidents))
	for _, i := range k.Incidents {
		records = append(records, ledgerRecord{Incident: &i})
	}
	for _, b := range k.Pending {
		tried := make(map[string]bool, len(b.Attempted))
		for _, key := range b.Attempted {
			tried[key] = true
		}
		for monitor, incident := range b.Notified {
			records = append(records, ledgerRecord{Receiver: b.Receiver, Monitor: monitor, Notified: incident})
		}
		for i := range b.Notifications {
			n := &b.Notifications[i]
			records = append(records, ledgerRecord{Receiver: b.Receiver, Notification: n, Attempted: len(tried) > 0 && tried[n.Key()]})
		}
		if !b.Absent.IsZero() {
			records = append(records, ledgerRecord{Receiver: b.Receiver, Absent: b.Absent})
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

// decodeKept reads what encodeKept wrote. Of a damaged file it returns the
// records that are whole, and what is wrong.
func decodeSnapshot(text []byte) (Snapshot, error) {
	if len(text) > state.MaxSize {
		return Snapshot{}, fmt.Errorf("larger than %d bytes", state.MaxSize)
	}
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	first, ok := decodeRecord(line)
	if ok && first.Head != nil && first.Head.Version != ledgerVersion {
		return Snapshot{}, fmt.Errorf("version %d is not known", first.Head.Version)
	}
	var d snapshotDecoder
	bad := 0
	for line := range bytes.Lines(rest) {
		r, ok := decodeRecord(bytes.TrimSuffix(line, []byte("\n")))
		if !ok || !d.add(r) {
			bad++
		}
	}
	switch {
	case !ok || first.Head == nil:
		return d.snapshot, fmt.Errorf("the first line is damaged: %d records could be read, how many there were is not known", d.read)
	case bad > 0 || d.read != first.Head.Records:
		return d.snapshot, fmt.Errorf("%d of %d records are lost", first.Head.Records-d.read, first.Head.Records)
	case !bytes.HasSuffix(text, []byte("\n")):
		return d.snapshot, errors.New("its end is missing")
	}
	return d.snapshot, nil
}

// decodeRecord reads a line without its end.
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

// keptDecoder puts records together.
type snapshotDecoder struct {
	snapshot Snapshot
	read     int
	at       map[string]int // in Owed, by receiver
}

// add takes a record and reports whether it is one.
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
	b := &d.snapshot.Pending[i]
	switch {
	case r.Notification != nil:
		b.Notifications = append(b.Notifications, *r.Notification)
		if r.Attempted {
			b.Attempted = append(b.Attempted, r.Notification.Key())
		}
	case r.Notified != "":
		b.Notified[r.Monitor] = r.Notified
	default:
		b.Absent = r.Absent
	}
}
