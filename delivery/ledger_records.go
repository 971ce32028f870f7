package delivery

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/state"
)

// The kinds of records of a Ledger.
const (
	incidentRecord = "incident" // by monitor
	pendingRecord  = "pending"  // by number, in order
	notifiedRecord = "notified" // by receiver and monitor
	absentRecord   = "absent"   // by receiver
)

// LedgerKinds returns the kinds of records of a Ledger.
func LedgerKinds() []state.Kind {
	return []state.Kind{
		{Name: incidentRecord, Version: 1}, {Name: pendingRecord, Version: 1},
		{Name: notifiedRecord, Version: 1}, {Name: absentRecord, Version: 1},
	}
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
	for i := range s.Incidents {
		records = append(records, ledgerRecord{Incident: &s.Incidents[i]})
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

// recordID tells the records of a Ledger apart.
type recordID struct{ kind, receiver, monitor, key string }

func (r *ledgerRecord) id() recordID {
	switch {
	case r.Incident != nil:
		return recordID{kind: incidentRecord, monitor: r.Incident.Monitor}
	case r.Notification != nil:
		return recordID{pendingRecord, r.Receiver, r.Notification.Monitor, r.Notification.Key()}
	case r.Notified != "":
		return recordID{kind: notifiedRecord, receiver: r.Receiver, monitor: r.Monitor}
	}
	return recordID{kind: absentRecord, receiver: r.Receiver}
}

// recordValue is what can change of a record: two that are equal need not be written
// again. A notification never changes.
type recordValue struct {
	incident  Incident
	attempted bool
	notified  string
	absent    time.Time
}

func (r *ledgerRecord) value() recordValue {
	v := recordValue{attempted: r.Attempted, notified: r.Notified, absent: r.Absent}
	if r.Incident != nil {
		v.incident = *r.Incident
	}
	return v
}

// is reports whether two values are the same. Each bad result counts as a failure;
// unless exact is set, that is no change.
func (v recordValue) is(now recordValue, exact bool) bool {
	if !exact {
		v.incident.Failures = now.incident.Failures
	}
	return v == now
}

// recorded is a record that the journal holds.
type recorded struct {
	recordValue
	number int64 // of a notification
}

// ledgerRecords are the records that the journal holds.
type ledgerRecords struct {
	held map[recordID]recorded
	last int64 // the highest number
}

// journalKey returns the key under which the journal holds a record.
func (id recordID) journalKey(number int64) string {
	switch id.kind {
	case incidentRecord:
		return id.monitor
	case pendingRecord:
		return strconv.FormatInt(number, 10)
	case notifiedRecord:
		return id.receiver + "\n" + id.monitor
	}
	return id.receiver
}

// changes returns the records that differ from those of s, and those that the journal
// holds once they are written.
func (h *ledgerRecords) changes(s Snapshot, exact bool) (changes []state.Entry, then ledgerRecords, err error) {
	records := recordsOf(s)
	then = ledgerRecords{make(map[recordID]recorded, len(records)), h.last}
	for i := range records {
		id, value := records[i].id(), records[i].value()
		old, known := h.held[id]
		if known && old.is(value, exact) {
			then.held[id] = old
			continue
		}
		if !known && id.kind == pendingRecord {
			then.last++
			old.number = then.last
		}
		data, err := json.Marshal(records[i])
		if err != nil {
			return nil, then, err
		}
		then.held[id] = recorded{value, old.number}
		changes = append(changes, state.Entry{Kind: id.kind, Key: id.journalKey(old.number), Data: data})
	}
	for id, old := range h.held {
		if _, ok := then.held[id]; !ok {
			changes = append(changes, state.Entry{Kind: id.kind, Key: id.journalKey(old.number)})
		}
	}
	return changes, then, nil
}
