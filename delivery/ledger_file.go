package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/state"
)

// The kinds of records of a Ledger.
const (
	incidentRecord = "incident"
	pendingRecord  = "pending"
)

func ledgerFormat() state.Format {
	return state.Format{Holds: "ledger", Versions: map[string]int{incidentRecord: 1, pendingRecord: 1}}
}

// ledgerRecord is an open incident, or a part of what is pending at a receiver.
type ledgerRecord struct {
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

// recordsOf returns the records of s.
func recordsOf(s Snapshot) []ledgerRecord {
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
	return records
}

// encodeSnapshot returns s as the content of a file.
func encodeSnapshot(s Snapshot) ([]byte, error) {
	records := recordsOf(s)
	lines := make([]state.Record, 0, len(records))
	for _, r := range records {
		data, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		kind := pendingRecord
		if r.Incident != nil {
			kind = incidentRecord
		}
		lines = append(lines, state.Record{Kind: kind, Version: 1, Data: data})
	}
	return ledgerFormat().Encode(lines)
}

// decodeSnapshot reads what encodeSnapshot wrote. For a damaged file it returns the
// sound records and an error that says what is lost.
func decodeSnapshot(text []byte) (Snapshot, error) {
	if isOldLedger(text) {
		return decodeOldSnapshot(text)
	}
	records, err := ledgerFormat().Decode(text)
	var d snapshotDecoder
	for _, record := range records {
		var r ledgerRecord
		jsonErr := state.UnmarshalKnown(record.Data, &r)
		if errors.As(jsonErr, new(*state.NewerError)) {
			return Snapshot{}, jsonErr
		}
		if jsonErr != nil || !d.add(r) {
			err = errors.Join(err, fmt.Errorf("a record of kind %q cannot be used: %.100q", record.Kind, record.Data))
		}
	}
	return d.snapshot, err
}

// snapshotDecoder assembles a Snapshot from records.
type snapshotDecoder struct {
	snapshot Snapshot
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
