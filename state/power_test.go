package state_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
)

// model is what a journal must hold after a sudden end.
type model struct {
	acknowledged map[string]string
	// tried are changes that failed since the last one that did not. They may be there.
	tried map[string][]string
}

func newModel() *model { return &model{map[string]string{}, map[string][]string{}} }

// name returns how entriesOf names an entry.
func name(kind, key string) string {
	for _, k := range kinds() {
		if k.Name == kind {
			return fmt.Sprintf("%s/%d %s", kind, k.Version, key)
		}
	}
	return ""
}

// set makes changes in a journal, and in the model if they are acknowledged.
func (m *model) set(j *state.Journal, entries ...state.Entry) {
	if j.Set(entries...) == nil {
		for _, e := range entries {
			m.acknowledged[name(e.Kind, e.Key)] = string(e.Data)
		}
		clear(m.tried)
		return
	}
	for _, e := range entries {
		id := name(e.Kind, e.Key)
		m.tried[id] = append(m.tried[id], string(e.Data))
	}
}

// check returns what a journal has lost, or holds although it was never written.
func (m *model) check(j *state.Journal) error {
	got := entriesOf(j)
	ids := maps.Clone(got)
	maps.Copy(ids, m.acknowledged)
next:
	for id := range ids {
		if got[id] == m.acknowledged[id] {
			continue
		}
		for _, tried := range m.tried[id] {
			if got[id] == tried {
				continue next
			}
		}
		return fmt.Errorf("%s is %q, want %q or one of %q", id, got[id], m.acknowledged[id], m.tried[id])
	}
	return nil
}

// script makes random changes, snapshots and restarts on a disk until it is cut, and
// returns the model of its journal.
func script(t *testing.T, d *testkit.MemDisk, random *rand.Rand, steps int) *model {
	t.Helper()
	m := newModel()
	s := openSnapshot(d, nil)
	j, err := state.OpenJournal(d, stateDir, kinds(), s.Mark())
	if err != nil && !errors.As(err, new(*state.UnwritableError)) {
		t.Fatal(err)
	}
	j.SetSlack(500)
	for n := range steps {
		switch random.IntN(12) {
		case 0:
			_ = writeNumber(s, j, 1+random.IntN(3))
		case 1:
			d.Set([]error{nil, syscall.ENOSPC}[random.IntN(2)], 0)
		case 2:
			d.Set(nil, 0)
			if err := j.Close(); d.CutAt > 0 && d.Steps >= d.CutAt {
				return m
			} else if err != nil {
				t.Fatal(err)
			}
			s = openSnapshot(d, nil)
			j2, err := state.OpenJournal(d, stateDir, kinds(), s.Mark())
			if j2 == nil {
				return m // the disk is cut, or fails for the moment
			}
			if j = j2; err != nil && !errors.As(err, new(*state.UnwritableError)) {
				t.Fatal(err)
			}
			j.SetSlack(500)
			// What was tried before may count from now on.
			for id, value := range entriesOf(j) {
				m.acknowledged[id] = value
			}
			for id := range m.tried {
				m.acknowledged[id] = entriesOf(j)[id]
			}
			clear(m.tried)
		default:
			var entries []state.Entry
			for range 1 + random.IntN(3) {
				e := state.Entry{Kind: []string{"a", "b"}[random.IntN(2)], Key: fmt.Sprint(random.IntN(6))}
				if random.IntN(3) > 0 {
					e.Data = fmt.Appendf(nil, "value %d %d\n\x1b %s", n, random.Uint32(), make([]byte, random.IntN(300)))
				}
				entries = append(entries, e)
			}
			m.set(j, entries...)
		}
	}
	return m
}

// TestPowerFailureLosesNothingAcknowledged cuts the power at a random step of random
// registrations, removals, snapshots, compactions, restarts and full disks. Then the
// journal holds all that was acknowledged, whole, and nothing else than what was tried
// last.
// Faults: T20, T22, T23.
func TestPowerFailureLosesNothingAcknowledged(t *testing.T) {
	for seed := range testkit.Fewer(2000, 300) {
		random := rand.New(rand.NewPCG(uint64(seed), 11))
		d := testkit.NewMemDisk()
		openJournal(t, d, state.Mark{})
		d.CutAt = d.Steps + 1 + random.IntN(250)
		m := script(t, d, random, 100)
		for i, after := range []*testkit.MemDisk{d.Killed(), d.LostPower(random), d.LostPower(random)} {
			j, err := state.OpenJournal(after, stateDir, kinds(), openSnapshot(after, nil).Mark())
			if j == nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if err := m.check(j); err != nil {
				t.Fatalf("seed %d, loss %d: %v", seed, i, err)
			}
			if n, _ := load(after); n.part() < 0 || n.whole(t) > 3 {
				t.Fatalf("seed %d: the snapshot holds %v", seed, n.read)
			}
		}
	}
}

// TestFailureAtAnyStepLosesNothing makes each step of a script fail once. What is
// refused is not made, what follows is, and the files are whole.
// Faults: T20, T22.
func TestFailureAtAnyStepLosesNothing(t *testing.T) {
	for at := 1; ; at += 1 + testkit.Fewer(0, 4) {
		random := rand.New(rand.NewPCG(3, 12))
		d := testkit.NewMemDisk()
		openJournal(t, d, state.Mark{})
		if d.FailAt = d.Steps + at; at > 400 {
			return
		}
		m := script(t, d, random, 60)
		d.Set(nil, 0)
		for _, after := range []*testkit.MemDisk{d.Killed(), d.LostPower(random)} {
			if err := m.check(openJournalOr(t, after)); err != nil {
				t.Fatalf("failed at step %d: %v", at, err)
			}
		}
	}
}

// openJournalOr opens a journal that may be damaged.
func openJournalOr(t *testing.T, d *testkit.MemDisk) *state.Journal {
	t.Helper()
	j, err := state.OpenJournal(d, stateDir, kinds(), openSnapshot(d, nil).Mark())
	if j == nil {
		t.Fatal(err)
	}
	return j
}

// TestChangeIsMadeAsAWholeOrNotAtAll cuts the power while changes of many entries are
// written: all entries are of the same one.
// Faults: T23.
func TestChangeIsMadeAsAWholeOrNotAtAll(t *testing.T) {
	for seed := range testkit.Fewer(2000, 300) {
		random := rand.New(rand.NewPCG(uint64(seed), 13))
		d := testkit.NewMemDisk()
		j := openJournal(t, d, state.Mark{})
		d.CutAt = d.Steps + 1 + random.IntN(20)
		for n := 0; d.Steps < d.CutAt; n++ {
			var all []state.Entry
			for key := range 12 {
				all = append(all, entry(fmt.Sprint(key), fmt.Sprintf("%d %200d", n, 0)))
			}
			all = append(all, entry(fmt.Sprint("x", n), "new"), entry(fmt.Sprint("x", n-1), ""))
			_ = j.Set(all...)
		}
		after := d.LostPower(random)
		j = openJournalOr(t, after)
		held, values := entriesOf(j), make(map[string]bool)
		for _, value := range held {
			values[value] = true
		}
		if len(held) != 0 && (len(held) != 13 || len(values) != 2) {
			t.Fatalf("seed %d: read %v", seed, held)
		}
	}
}
