package testkit

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/state"
)

// MemDisk is a file system that a test cuts off at any step. What the kernel
// holds and what is on the disk are two things: a kill loses neither, a power
// failure all that was not synced.
type MemDisk struct {
	mu     sync.Mutex          // guards all that follows
	names  map[string]*memFile // as the kernel holds them
	synced map[string]*memFile // as they were at the last SyncDir
	moves  []map[string]*memFile
	Steps  int // done so far
	CutAt  int // the step at which the process ends or the power fails; 0 is never
	fault  error
	slow   time.Duration // of a Sync
	syncs  int
}

// memFile is a file: what was written, and how much of that is synced.
type memFile struct {
	text   []byte
	synced int
}

var ErrCut = errors.New("cut off")

func NewMemDisk() *MemDisk {
	return &MemDisk{names: map[string]*memFile{}, synced: map[string]*memFile{}}
}

// step Counts a step, and reports why it must not be done. d.mu is held.
func (d *MemDisk) step() error {
	if d.CutAt > 0 && d.Steps >= d.CutAt {
		return ErrCut
	}
	d.Steps++
	return d.fault
}

func (d *MemDisk) moved() { d.moves = append(d.moves, maps.Clone(d.names)) }

func (d *MemDisk) Create(path string) (state.File, error) {
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

func (d *MemDisk) ReadFile(path string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.names[path]
	if f == nil {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(f.text), nil
}

func (d *MemDisk) Rename(from, to string) error {
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

func (d *MemDisk) Remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.CutAt > 0 && d.Steps >= d.CutAt {
		return ErrCut
	}
	delete(d.names, path)
	d.moved()
	return nil
}

func (d *MemDisk) SyncDir(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	d.synced, d.moves = maps.Clone(d.names), nil
	return nil
}

type memWriter struct {
	d *MemDisk
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

// Killed returns the disk as the next process finds it after a kill.
func (d *MemDisk) Killed() *MemDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := NewMemDisk()
	for path, f := range d.names {
		after.names[path] = &memFile{slices.Clone(f.text), len(f.text)}
	}
	after.synced = maps.Clone(after.names)
	return after
}

// LostPower returns the disk as the next process may find it after a power
// failure: of the renames that were not synced the first few are done, and of
// what was written and not synced anything is there, the rest perhaps as zeros.
func (d *MemDisk) LostPower(random *rand.Rand) *MemDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := d.synced
	if n := random.IntN(len(d.moves) + 1); n > 0 {
		names = d.moves[n-1]
	}
	after := NewMemDisk()
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

// Counts returns how many steps were done and how many files there are.
func (d *MemDisk) Counts() (steps, files int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Steps, len(d.names)
}

// Set changes how the disk behaves from now on.
func (d *MemDisk) Set(fault error, slow time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.slow = fault, slow
}

// Synced returns how many files were synced so far.
func (d *MemDisk) Synced() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}
