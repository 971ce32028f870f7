package store

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzSnapshotRecord reads any bytes. A record that is refused has left nothing, unless
// there was no room. Of one that is read, all can be answered, written and read again, and
// time ends what it brought.
func FuzzSnapshotRecord(f *testing.F) {
	for _, record := range samples(f) {
		f.Add(record)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{Transitions: 10, MaxEntries: 50, Retention: time.Hour})
			err := s.ReadSnapshot(SnapshotVersion, record)
			if held := s.entries(); err != nil && !strings.Contains(err.Error(), "no room") && (held > 0 || s.ring.end > 0) {
				t.Fatalf("%d entries and %d transitions in spite of %v", held, s.ring.end, err)
			}
			s.Resume(time.Minute)
			before := answerable(t, s)
			records := snapshot(t, s)
			next := New(s.cfg)
			for _, record := range records {
				if err := next.ReadSnapshot(SnapshotVersion, record); err != nil {
					t.Fatal(err)
				}
			}
			next.Resume(0)
			if got := answerable(t, next); got != before {
				t.Fatalf("restored are %d bytes of answers, want %d", got, before)
			}
			next.Put(check("n", "ping", ok, 0))
			for range 4 {
				time.Sleep(maxTTL * time.Second)
				next.advance()
			}
			if c := next.Counters(); c.Nodes != 0 || c.Bytes != 0 || len(next.silent) != 0 {
				t.Fatalf("left are %+v", c)
			}
		})
	})
}

// samples are the records of a store with all kinds of entries.
func samples(f *testing.F) (records [][]byte) {
	f.Helper()
	s := New(Config{Own: "off"})
	var ahead time.Duration
	mono := s.clock.mono
	s.clock.mono = func() time.Duration { return mono() + ahead }
	for _, silence := range []time.Duration{0, time.Minute, 2 * time.Hour} {
		mustPut(f, s, Accepted, check("quiet", "ping", warning, 0).saying("slow"), status("quiet", started, 0), stats("n", 0))
		mustPut(f, s, Accepted, check("off", "ping", failing, 0), stats("off", 0), status("off", isStopped, 0), check("off", "late", ok, 1))
		ahead += silence
		s.advance()
		records = append(records, snapshot(f, s)...)
	}
	return records
}
