package delivery

import (
	"fmt"
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
	var plain []string
	for line := range strings.Lines(string(whole)) {
		_, text, _ := strings.Cut(line, " ")
		plain = append(plain, text)
	}
	f.Add(strings.Join(plain, ""))
	f.Add("")
	f.Add("{}\n{\"receiver\":\"a\",\"notification\":null}\n{\"incident\":{}}")
	f.Fuzz(func(t *testing.T, plain string) {
		var text strings.Builder
		for line := range strings.Lines(plain) {
			line = strings.TrimSuffix(line, "\n")
			fmt.Fprintf(&text, "%08x %s\n", state.Checksum([]byte(line)), line)
		}
		k, _ := decodeSnapshot([]byte(text.String()))
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
