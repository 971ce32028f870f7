package delivery

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/microhq/monitor-srv/state"
)

// read reads the records. An error is that of a newer program.
func (l *Ledger) read() (Snapshot, error) {
	l.records.held = make(map[recordID]recorded)
	var d snapshotDecoder
	for _, kind := range []string{incidentRecord, notifiedRecord, absentRecord} {
		for _, e := range l.journal.Records(kind) {
			if err := l.take(&d, e, 0); err != nil {
				return Snapshot{}, err
			}
		}
	}
	pending := l.journal.Records(pendingRecord)
	numbers := make(map[string]int64, len(pending))
	for _, e := range pending {
		numbers[e.Key], _ = strconv.ParseInt(e.Key, 10, 64) // without a number, it is the first
	}
	slices.SortFunc(pending, func(a, b state.Entry) int { return cmp.Compare(numbers[a.Key], numbers[b.Key]) })
	for _, e := range pending {
		if err := l.take(&d, e, numbers[e.Key]); err != nil {
			return Snapshot{}, err
		}
	}
	return d.sorted(), nil
}

// take decodes a record. One that cannot be used is logged and stays as it is.
func (l *Ledger) take(d *snapshotDecoder, e state.Entry, number int64) error {
	var r ledgerRecord
	err := state.UnmarshalKnown(e.Data, &r)
	if errors.As(err, new(*state.NewerError)) {
		err = fmt.Errorf("reading a record of kind %q: %w", e.Kind, err)
		l.journal.Refuse(err)
		return err
	}
	id := r.id()
	if err != nil || id.kind != e.Kind || id.journalKey(number) != e.Key || !d.add(r) {
		l.log.Error("a record of the ledger cannot be used: what it says is lost", "kind", e.Kind, "record", fmt.Sprintf("%.100q", e.Data), "err", err)
		return nil
	}
	l.records.held[id] = recorded{r.value(), number}
	l.records.last = max(l.records.last, number)
	return nil
}

// snapshotDecoder assembles a Snapshot from records.
type snapshotDecoder struct {
	incidents []Incident
	pending   map[string]*Pending // by receiver
}

// add adds a record. It reports whether the record is valid.
func (d *snapshotDecoder) add(r ledgerRecord) bool {
	switch {
	case r.Incident != nil:
		d.incidents = append(d.incidents, *r.Incident)
	case r.Receiver != "":
		d.receiver(r)
	default:
		return false
	}
	return true
}

func (d *snapshotDecoder) receiver(r ledgerRecord) {
	p := d.pending[r.Receiver]
	if p == nil {
		if d.pending == nil {
			d.pending = make(map[string]*Pending)
		}
		p = &Pending{Receiver: r.Receiver, Notified: map[string]string{}}
		d.pending[r.Receiver] = p
	}
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

// sorted returns what was added, incidents ordered by monitor and the rest by receiver.
func (d *snapshotDecoder) sorted() (s Snapshot) {
	s.Incidents = d.incidents
	slices.SortFunc(s.Incidents, func(a, b Incident) int { return cmp.Compare(a.Monitor, b.Monitor) })
	for _, receiver := range slices.Sorted(maps.Keys(d.pending)) {
		s.Pending = append(s.Pending, *d.pending[receiver])
	}
	return s
}
