package delivery

import (
	"fmt"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
)

// Any records with correct checksums are read without a panic. What was read can be
// written and read again.
// Faults: T21.
func FuzzLedger(f *testing.F) {
	var plain strings.Builder
	l, _ := openLedger(f, testkit.NewMemDisk(), testkit.QuietLog())
	if !write(l, 4) {
		f.Fatal("not written")
	}
	for _, kind := range LedgerKinds() {
		for _, r := range l.journal.Records(kind.Name) {
			fmt.Fprintf(&plain, "%s %q %s\n", r.Kind, r.Key, r.Data)
		}
	}
	f.Add(plain.String())
	f.Add("")
	f.Add("pending \"1\" {\"receiver\":\"a\",\"notice\":null}\nincident \"\" {\"incident\":{}}")
	f.Fuzz(func(t *testing.T, plain string) {
		d := testkit.NewMemDisk()
		j, err := openRecords(t, d, "/state")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(plain) {
			var kind, key string
			n, _ := fmt.Sscanf(line, "%s %q", &kind, &key)
			if _, data, ok := strings.Cut(line, "{"); n == 2 && ok {
				_ = j.Set(state.Entry{Kind: kind, Key: key, Data: []byte("{" + strings.TrimSuffix(data, "\n"))})
			}
		}
		_, k := openLedger(t, d, testkit.QuietLog())
		l, _ := openLedger(t, testkit.NewMemDisk(), testkit.QuietLog())
		if _, err := l.write(func() Snapshot { return k }, true); err != nil {
			t.Skip() // a time that JSON cannot say
		}
		_, again := OpenLedger(l.journal, testkit.QuietLog())
		if len(again.Incidents) != len(k.Incidents) || countNotifications(again) != countNotifications(k) {
			t.Errorf("read %+v, and then %+v", k, again)
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
