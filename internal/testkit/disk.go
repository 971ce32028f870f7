package testkit

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/microhq/monitor-srv/state"
)

// MemDisk is a file system in memory that stops at any step. It knows which writes
// are synced: a killed process loses none, a power failure may lose those that are
// not.
type MemDisk struct {
	mu     sync.Mutex          // guards all following fields
	names  map[string]*memFile // as a running process sees them
	synced map[string]*memFile // as of the last SyncDir
	moves  []map[string]*memFile
	Steps  int // number of steps done
	CutAt  int // number of steps after which all fail; 0 for no limit
	FailAt int // number of the one step that fails; 0 for none
	fault  error
	slow   time.Duration // duration of a Sync
	syncs  int
}

// memFile is a file and the number of its bytes that are synced. Holes are bytes whose
// sync failed: a later one reports success for them too, as that of Linux does.
type memFile struct {
	text   []byte
	synced int
	holes  [][2]int
}

// ErrCut is the error of steps after CutAt.
var ErrCut = errors.New("the disk has stopped")

// NewMemDisk returns an empty disk.
func NewMemDisk() *MemDisk {
	return &MemDisk{names: map[string]*memFile{}, synced: map[string]*memFile{}}
}

// step counts a step, or returns why it fails. d.mu is held.
func (d *MemDisk) step() error {
	if d.CutAt > 0 && d.Steps >= d.CutAt {
		return ErrCut
	}
	d.Steps++
	if d.Steps == d.FailAt {
		return syscall.EIO
	}
	return d.fault
}

func (d *MemDisk) moved() { d.moves = append(d.moves, maps.Clone(d.names)) }

// Create implements state.Disk.
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

// Put makes a file durable as it is.
func (d *MemDisk) Put(path string, text []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &memFile{text: slices.Clone(text), synced: len(text)}
	d.names[path], d.synced[path] = f, f
	d.moved()
}

// ReadFile implements state.Disk.
func (d *MemDisk) ReadFile(path string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.names[path]
	if f == nil {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(f.text), nil
}

// Open implements state.Disk.
func (d *MemDisk) Open(path string) (io.ReadCloser, error) {
	text, err := d.ReadFile(path)
	return io.NopCloser(bytes.NewReader(text)), err
}

// Rename implements state.Disk.
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

// Remove implements state.Disk.
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

// SyncDir implements state.Disk.
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
		w.f.holes = append(w.f.holes, [2]int{w.f.synced, len(w.f.text)})
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
		after.names[path] = &memFile{text: slices.Clone(f.text), synced: len(f.text)}
	}
	after.synced = maps.Clone(after.names)
	return after
}

// LostPower returns a disk as the next process may find it after a power failure. Some
// of the renames since the last SyncDir are done. Any part of the unsynced bytes is
// there; the rest is missing or zero.
func (d *MemDisk) LostPower(random *rand.Rand) *MemDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := d.synced
	if n := random.IntN(len(d.moves) + 1); n > 0 {
		names = d.moves[n-1]
	}
	after := NewMemDisk()
	for path, f := range names {
		text := f.lostPower(random)
		after.names[path] = &memFile{text: text, synced: len(text)}
	}
	after.synced = maps.Clone(after.names)
	return after
}

// sectorSize is what a disk writes at once.
const sectorSize = 512

// lostPower returns what is left of a file. Sectors may be written in any order.
func (f *memFile) lostPower(random *rand.Rand) []byte {
	text := slices.Clone(f.text)
	for _, hole := range append(f.holes, [2]int{f.synced, len(text)}) {
		written := hole[0] + random.IntN(hole[1]-hole[0]+1)
		for from := hole[0]; from < hole[1]; {
			to := min(hole[1], from-from%sectorSize+sectorSize)
			if from >= written || random.IntN(8) == 0 {
				clear(text[from:to])
			}
			from = to
		}
	}
	if random.IntN(2) == 0 { // the end is missing
		text = text[:f.synced+random.IntN(len(text)-f.synced+1)]
	}
	return text
}

// Counts returns the number of steps done and of files.
func (d *MemDisk) Counts() (steps, files int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Steps, len(d.names)
}

// Set makes all steps fail with fault, unless it is nil, and a Sync take slow.
func (d *MemDisk) Set(fault error, slow time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.slow = fault, slow
}

// Synced returns how many files were synced.
func (d *MemDisk) Synced() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}
