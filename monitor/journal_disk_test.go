package monitor

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// memDisk is a file system that a test cuts off at any step. What the kernel
// holds and what is on the disk are two things: a kill loses neither, a power
// failure all that was not synced.
type memDisk struct {
	mu     sync.Mutex          // guards all that follows
	names  map[string]*memFile // as the kernel holds them
	synced map[string]*memFile // as they were at the last SyncDir
	moves  []map[string]*memFile
	steps  int // done so far
	cutAt  int // the step at which the process ends or the power fails; 0 is never
	fault  error
	slow   time.Duration // of a Sync
	syncs  int
}

// memFile is a file: what was written, and how much of that is synced.
type memFile struct {
	text   []byte
	synced int
}

var errCut = errors.New("cut off")

func newMemDisk() *memDisk {
	return &memDisk{names: map[string]*memFile{}, synced: map[string]*memFile{}}
}

// step counts a step, and reports why it must not be done. d.mu is held.
func (d *memDisk) step() error {
	if d.cutAt > 0 && d.steps >= d.cutAt {
		return errCut
	}
	d.steps++
	return d.fault
}

func (d *memDisk) moved() { d.moves = append(d.moves, maps.Clone(d.names)) }

func (d *memDisk) Create(path string) (diskFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return nil, err
	}
	f := &memFile{}
	d.names[path] = f
	d.moved()
	return &memWriter{d, f}, nil
}

func (d *memDisk) ReadFile(path string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.names[path]
	if f == nil {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(f.text), nil
}

func (d *memDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	if d.names[from] == nil {
		return fs.ErrNotExist
	}
	d.names[to] = d.names[from]
	delete(d.names, from)
	d.moved()
	return nil
}

func (d *memDisk) Remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cutAt > 0 && d.steps >= d.cutAt {
		return errCut
	}
	delete(d.names, path)
	d.moved()
	return nil
}

func (d *memDisk) SyncDir(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	d.synced, d.moves = maps.Clone(d.names), nil
	return nil
}

type memWriter struct {
	d *memDisk
	f *memFile
}

// Write writes half at its first step and the rest at a second one.
func (w *memWriter) Write(b []byte) (int, error) {
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	for n, part := range [][]byte{b[:len(b)/2], b[len(b)/2:]} {
		if err := w.d.step(); err != nil {
			return n * (len(b) / 2), err
		}
		w.f.text = append(w.f.text, part...)
	}
	return len(b), nil
}

func (w *memWriter) Sync() error {
	w.d.mu.Lock()
	slow := w.d.slow
	w.d.mu.Unlock()
	time.Sleep(slow)
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	if err := w.d.step(); err != nil {
		return err
	}
	w.d.syncs++
	w.f.synced = len(w.f.text)
	return nil
}

func (w *memWriter) Close() error { return nil }

// killed returns the disk as the next process finds it after a kill.
func (d *memDisk) killed() *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := newMemDisk()
	for path, f := range d.names {
		after.names[path] = &memFile{slices.Clone(f.text), len(f.text)}
	}
	after.synced = maps.Clone(after.names)
	return after
}

// lostPower returns the disk as the next process may find it after a power
// failure: of the renames that were not synced the first few are done, and of
// what was written and not synced anything is there, the rest perhaps as zeros.
func (d *memDisk) lostPower(random *rand.Rand) *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := d.synced
	if n := random.IntN(len(d.moves) + 1); n > 0 {
		names = d.moves[n-1]
	}
	after := newMemDisk()
	for path, f := range names {
		text := slices.Clone(f.text[:f.synced+random.IntN(len(f.text)-f.synced+1)])
		if lost := len(f.text) - len(text); lost > 0 && random.IntN(2) == 0 {
			text = append(text, bytes.Repeat([]byte{0}, random.IntN(lost+1))...)
		}
		after.names[path] = &memFile{text, len(text)}
	}
	after.synced = maps.Clone(after.names)
	return after
}

// counts returns how many steps were done and how many files there are.
func (d *memDisk) counts() (steps, files int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.steps, len(d.names)
}

// set changes how the disk behaves from now on.
func (d *memDisk) set(fault error, slow time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.slow = fault, slow
}

// TestJournalTooLargeToReadIsNotWritten writes more than is read of a file:
// the file stays as it was.
// Faults: T20.
func TestJournalTooLargeToReadIsNotWritten(t *testing.T) {
	d := newMemDisk()
	if err := replaceFile(d, "/state/f", []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(d, "/state/f", make([]byte, maxState+1)); err == nil {
		t.Error("a file is written that is not read again")
	}
	if text, err := d.ReadFile("/state/f"); err != nil || string(text) != "old" {
		t.Errorf("the file holds %d bytes, %v", len(text), err)
	}
}

// TestLargestJournalIsReadAgain holds the bound of the file to what it says:
// definitions of the largest size, whatever they are made of.
func TestLargestJournalIsReadAgain(t *testing.T) {
	for _, letters := range []string{`<>&"`, "\"", "\\", "\t", "\u2028", "\x7f", "\u00fc"} {
		d := newMemDisk()
		j, err := openJournalOn(d, "/state")
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat(letters, MaxDefinition/len(letters))
		if err := j.save(journalState{LastID: 1, Monitors: []Saved{{ID: 1, Text: text, Trusted: true, Owner: "operator 0123456789abcdef"}}}); err != nil {
			t.Fatal(err)
		}
		raw, err := d.ReadFile(j.path())
		if err != nil {
			t.Fatal(err)
		}
		if len(raw)*DefaultMaxRegistered > maxState {
			t.Errorf("%q: %d such monitors take %d bytes, more than %d", letters, DefaultMaxRegistered, len(raw)*DefaultMaxRegistered, maxState)
		}
		state, err := decodeJournal(raw)
		if err != nil || state.Monitors[0].Text != text {
			t.Errorf("%q is not read back: %v", letters, err)
		}
	}
}

// TestDamagedJournalOnAFullDiskIsReported says that no copy was kept of what is
// damaged.
// Faults: T20, T21.
func TestDamagedJournalOnAFullDiskIsReported(t *testing.T) {
	d := newMemDisk()
	if err := replaceFile(d, "/state/"+journalName, []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	d.set(errCut, 0)
	j, err := openJournalOn(d, "/state")
	if j == nil || err == nil || strings.Contains(err.Error(), `""`) || !strings.Contains(err.Error(), "could not be set aside") {
		t.Errorf("got %v, %v", j, err)
	}
}
