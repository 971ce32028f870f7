package monitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/microhq/monitor-srv/state"
)

// The kinds of records of a Journal.
const (
	journalRecord      = "journal" // twice, since nothing else knows the last id
	registrationRecord = "registration"
	fileRecord         = "file-monitor"
)

// maxID is the highest id that is believed. Those above it are left for new monitors:
// up to twice as high, JSON numbers are exact everywhere.
const maxID = 1 << 52

func journalFormat() state.Format {
	return state.Format{Holds: "monitors", Versions: map[string]int{journalRecord: 1, registrationRecord: 1, fileRecord: 1}}
}

// journalHead is what concerns all monitors.
type journalHead struct {
	LastID int64  `json:"last_id"`
	Key    []byte `json:"key"`
}

// encodeJournal returns s as the content of a file.
func encodeJournal(s journalState) ([]byte, error) {
	var records []state.Record
	var errs []error
	add := func(kind string, v any) {
		data, err := marshal(v)
		records, errs = append(records, state.Record{Kind: kind, Version: 1, Data: data}), append(errs, err)
	}
	head := journalHead{s.LastID, s.Key}
	add(journalRecord, head)
	for _, e := range s.Monitors {
		add(registrationRecord, e)
	}
	for _, e := range s.Files {
		add(fileRecord, e)
	}
	add(journalRecord, head)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return journalFormat().Encode(records)
}

// decodeJournal reads what encodeJournal wrote. For a damaged file it returns what is
// sound and an error that says what is lost.
func decodeJournal(text []byte) (s journalState, err error) {
	records, err := journalFormat().Decode(text)
	for _, r := range records {
		if recordErr := s.add(r); recordErr != nil {
			err = errors.Join(err, fmt.Errorf("a record of kind %q: %w", r.Kind, recordErr))
		}
	}
	return s, errors.Join(err, s.repair())
}

func (s *journalState) add(r state.Record) error {
	switch r.Kind {
	case journalRecord:
		var head journalHead
		if err := state.UnmarshalKnown(r.Data, &head); err != nil {
			return err
		}
		if s.LastID == 0 || head.LastID > s.LastID {
			s.LastID = head.LastID
		}
		s.Key = head.Key
		return nil
	case registrationRecord:
		return appendDecoded(&s.Monitors, r.Data)
	default:
		return appendDecoded(&s.Files, r.Data)
	}
}

func appendDecoded[T any](list *[]T, data []byte) error {
	var v T
	if err := state.UnmarshalKnown(data, &v); err != nil {
		return err
	}
	*list = append(*list, v)
	return nil
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
