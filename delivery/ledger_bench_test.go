package delivery

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// failing returns the snapshot while n monitors fail and no notification was
// delivered.
func failing(n int) Snapshot {
	k := Snapshot{Pending: []Pending{{Receiver: "ops"}}}
	at := time.Now()
	for i := range n {
		m, id := fmt.Sprint("monitor-", i), fmt.Sprintf("%026d", i)
		k.Incidents = append(k.Incidents, Incident{Monitor: m, ID: id, Since: at, Failures: 1, Seq: 1})
		k.Pending[0].Notifications = append(k.Pending[0].Notifications, action.Notification{
			Monitor: m, Host: "host", Event: action.Fail, Incident: id, Seq: 1, Since: at, Time: at, Version: "1.0",
			Error: "dial tcp 10.0.0.1:80: connect: connection refused", Failures: 1,
		})
	}
	return k
}

// BenchmarkLedgerWrite writes the notifications of monitors that fail together to the
// disk of temporary files.
func BenchmarkLedgerWrite(b *testing.B) {
	for _, n := range []int{1, 100, 2000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l, _ := OpenLedger(b.TempDir(), slog.New(slog.DiscardHandler))
			k := failing(n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.write(func() Snapshot { return k }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLedgerEncode encodes that content only.
func BenchmarkLedgerEncode(b *testing.B) {
	k := failing(2000)
	b.ReportAllocs()
	for b.Loop() {
		text, err := encodeSnapshot(k)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(text)))
	}
}
