package delivery

import (
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/state"
)

// Any file with correct checksums is read without a panic. What was read can be
// written and read again.
// Faults: T21.
func FuzzLedger(f *testing.F) {
	whole, err := encodeSnapshot(snapshotOf(4))
	if err != nil {
		f.Fatal(err)
	}
	records, err := ledgerFormat().Decode(whole)
	if err != nil {
		f.Fatal(err)
	}
	var plain strings.Builder
	for _, r := range records {
		plain.Write(r.Data)
		plain.WriteByte('\n')
	}
	f.Add(plain.String())
	f.Add("")
	f.Add("{}\n{\"receiver\":\"a\",\"notification\":null}\n{\"incident\":{}}")
	f.Fuzz(func(t *testing.T, plain string) {
		var records []state.Record
		for line := range strings.Lines(plain) {
			records = append(records, state.Record{Kind: pendingRecord, Version: 1, Data: []byte(strings.TrimSuffix(line, "\n"))})
		}
		text, err := ledgerFormat().Encode(records)
		if err != nil {
			t.Fatal(err)
		}
		k, _ := decodeSnapshot(text)
		again, err := encodeSnapshot(k)
		if err != nil {
			t.Skip() // a time that JSON cannot say
		}
		k2, err := decodeSnapshot(again)
		if err != nil {
			t.Fatalf("reading what was written: %v\n%s", err, again)
		}
		if len(k2.Incidents) != len(k.Incidents) || countNotifications(k2) != countNotifications(k) {
			t.Errorf("read %+v, and then %+v", k, k2)
		}
	})
}

// countNotifications counts the pending notifications.
func countNotifications(k Snapshot) (n int) {
	for _, b := range k.Pending {
		n += len(b.Notifications)
	}
	return n
}
