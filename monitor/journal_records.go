package monitor

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/microhq/monitor-srv/state"
)

// The kinds of records of a Journal.
const (
	headRecord         = "monitors" // under two keys, since nothing else knows the last id
	registrationRecord = "registration"
	fileRecord         = "file-monitor"
)

// maxID is the highest id that is believed. Those above it are left for new monitors:
// up to twice as high, JSON numbers are exact everywhere.
const maxID = 1 << 52

// JournalKinds returns the kinds of records of a Journal.
func JournalKinds() []state.Kind {
	return []state.Kind{{Name: headRecord, Version: 1}, {Name: registrationRecord, Version: 1}, {Name: fileRecord, Version: 1}}
}

// journalHead is what concerns all monitors.
type journalHead struct {
	LastID int64  `json:"last_id"`
	Key    []byte `json:"key"`
}

// journalRecords is what the records of a Journal say.
type journalRecords struct {
	head     []byte
	monitors map[int64]journalEntry
	files    map[int64]fileEntry
}

// changes returns the records that differ from those of s, and what the records say
// once these are written.
func (w *journalRecords) changes(s journalState) (changes []state.Entry, then journalRecords, err error) {
	then.head, err = marshal(journalHead{s.LastID, s.Key})
	if !bytes.Equal(then.head, w.head) {
		for _, key := range []string{"1", "2"} {
			changes = append(changes, state.Entry{Kind: headRecord, Key: key, Data: then.head})
		}
	}
	var errs [2]error
	changes, then.monitors, errs[0] = changesOf(changes, registrationRecord, w.monitors, s.Monitors)
	changes, then.files, errs[1] = changesOf(changes, fileRecord, w.files, s.Files)
	return changes, then, errors.Join(err, errs[0], errs[1])
}

func (e journalEntry) id() int64 { return e.ID }
func (e fileEntry) id() int64    { return e.ID }

// changesOf appends the changes of one kind.
func changesOf[E interface {
	comparable
	id() int64
}](changes []state.Entry, kind string, written map[int64]E, now []E) ([]state.Entry, map[int64]E, error) {
	then := make(map[int64]E, len(now))
	for _, e := range now {
		then[e.id()] = e
		if old, ok := written[e.id()]; ok && old == e {
			continue
		}
		data, err := marshal(e)
		if err != nil {
			return nil, nil, err
		}
		changes = append(changes, state.Entry{Kind: kind, Key: recordKey(e.id()), Data: data})
	}
	for id := range written {
		if _, ok := then[id]; !ok {
			changes = append(changes, state.Entry{Kind: kind, Key: recordKey(id)})
		}
	}
	return changes, then, nil
}

func recordKey(id int64) string { return strconv.FormatInt(id, 10) }

// readRecords reads the records into loaded and written.
func (j *Journal) readRecords() error {
	w := journalRecords{monitors: make(map[int64]journalEntry), files: make(map[int64]fileEntry)}
	var errs []error
	for _, r := range j.records.Records(headRecord) {
		var h journalHead
		if err := state.UnmarshalKnown(r.Data, &h); err != nil {
			errs = append(errs, badRecord(r, err))
			continue
		}
		if w.head == nil {
			w.head, j.loaded.LastID, j.loaded.Key = r.Data, h.LastID, h.Key
		} else if !bytes.Equal(w.head, r.Data) {
			w.head, j.loaded.LastID = []byte{}, max(j.loaded.LastID, h.LastID) // both are written again
		}
	}
	errs = append(errs, readKind(j.records, registrationRecord, w.monitors), readKind(j.records, fileRecord, w.files))
	err := errors.Join(errs...)
	if errors.As(err, new(*state.NewerError)) {
		j.records.Refuse(err)
		return nil
	}
	for _, e := range w.monitors {
		j.loaded.Monitors = append(j.loaded.Monitors, e)
	}
	for _, e := range w.files {
		j.loaded.Files = append(j.loaded.Files, e)
	}
	slices.SortFunc(j.loaded.Monitors, func(a, b journalEntry) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(j.loaded.Files, compareIDs)
	j.written = w
	return errors.Join(err, j.loaded.repair())
}

// readKind reads the records of a kind, by id.
func readKind[E interface{ id() int64 }](records *state.Journal, kind string, to map[int64]E) error {
	var errs []error
	for _, r := range records.Records(kind) {
		var e E
		err := state.UnmarshalKnown(r.Data, &e)
		if err == nil && recordKey(e.id()) != r.Key {
			err = fmt.Errorf("it has the id %d", e.id())
		}
		if err != nil {
			errs = append(errs, badRecord(r, err))
			continue
		}
		to[e.id()] = e
	}
	return errors.Join(errs...)
}

func badRecord(r state.Entry, err error) error {
	return fmt.Errorf("reading record %q of kind %q: %w", r.Key, r.Kind, err)
}

// repair drops what cannot be: ids that are out of range or given twice. The last id is
// at least that of each monitor. The error names what was dropped.
func (s *journalState) repair() error {
	var wrong []string
	if s.LastID < 0 || s.LastID > maxID {
		wrong = append(wrong, fmt.Sprintf("last id %d", s.LastID))
		s.LastID = 0
	}
	seen := make(map[int64]bool)
	impossible := func(id int64) bool {
		if id < 1 || id > maxID || seen[id] {
			wrong = append(wrong, fmt.Sprintf("monitor id %d", id))
			return true
		}
		seen[id] = true
		s.LastID = max(s.LastID, id)
		return false
	}
	s.Monitors = slices.DeleteFunc(s.Monitors, func(e journalEntry) bool { return impossible(e.ID) })
	s.Files = slices.DeleteFunc(s.Files, func(e fileEntry) bool { return impossible(e.ID) })
	if len(wrong) > 0 {
		return fmt.Errorf("out of range or not unique: %s; new ids begin above %d", strings.Join(wrong[:min(len(wrong), maxNamesLogged)], ", "), s.LastID)
	}
	return nil
}

// marshal returns v as JSON without HTML escapes, so that the text of a definition
// takes at most twice its size.
func marshal(v any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}
