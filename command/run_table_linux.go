package command

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	keySize    = 2 * 8 // the random part of a mark in hexadecimal digits
	recordSize = keySize + 8
	// maxSlots bounds the table, in concurrent runs. Further ones are not guarded.
	maxSlots = 4096
	// noSlot is the slot of a run that has none.
	noSlot = 0

	// tableKey is the key of the table's first record, whose number is the session of
	// the commands. It changes with the format of the table.
	tableKey = "command-table-01"
)

// runTable is a file in memory with a record for each run in progress: the key of its
// mark and the number of its group, both zero in a free slot. A run costs two writes
// to it. The guardian process reads it after its writer died.
type runTable struct {
	mu     sync.Mutex
	file   *os.File // nil until opened; guarded by mu
	unused []int    // guarded by mu
	used   int      // slots used so far; guarded by mu
}

// open creates the file.
func (t *runTable) open() error {
	fd, err := unix.MemfdCreate("commands", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("making the table of commands: %w", err)
	}
	session, err := unix.Getsid(0)
	if err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("reading the session: %w", err)
	}
	file := os.NewFile(uintptr(fd), "commands")
	if _, err := file.Write(record(tableKey, session)); err != nil {
		_ = file.Close()
		return fmt.Errorf("writing the table of commands: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.file = file
	return nil
}

func (t *runTable) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.file.Close()
	t.file = nil
}

// take returns a slot for a run, or noSlot.
func (t *runTable) take(key string) int {
	t.mu.Lock()
	slot := noSlot
	switch n := len(t.unused); {
	case t.file == nil:
	case n > 0:
		slot, t.unused = t.unused[n-1], t.unused[:n-1]
	case t.used < maxSlots:
		t.used++
		slot = t.used
	}
	t.mu.Unlock()
	t.write(slot, key, 0)
	return slot
}

// free frees a slot.
func (t *runTable) free(slot int) {
	if slot == noSlot {
		return
	}
	t.write(slot, "", 0)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unused = append(t.unused, slot)
}

func (t *runTable) write(slot int, key string, group int) {
	if slot == noSlot {
		return
	}
	t.mu.Lock()
	file := t.file
	t.mu.Unlock()
	if file != nil {
		_, _ = file.WriteAt(record(key, group), int64(slot)*recordSize) // it fails only without memory
	}
}

func record(key string, number int) []byte {
	b := make([]byte, recordSize)
	copy(b, key)
	binary.LittleEndian.PutUint64(b[keySize:], uint64(number))
	return b
}

// tableContent is the content of a table.
type tableContent struct {
	session int // 0 if it is in another PID namespace
	keys    map[string]bool
	groups  map[int]bool
}

// readTable reads the table of another process.
func readTable(file *os.File) (tableContent, error) {
	b := make([]byte, (1+maxSlots)*recordSize)
	n, _ := file.ReadAt(b, 0) // the file is shorter
	c := tableContent{keys: make(map[string]bool), groups: make(map[int]bool)}
	whole := false
	for i := 0; i+recordSize <= n; i += recordSize {
		key := string(bytes.TrimRight(b[i:i+keySize], "\x00"))
		number := int(binary.LittleEndian.Uint64(b[i+keySize:]))
		switch {
		case i == 0 && key == tableKey:
			c.session, whole = number, true
		case i == 0 || key == "":
		default:
			c.keys[key] = true
			if number > 0 {
				c.groups[number] = true
			}
		}
	}
	if !whole {
		return c, errors.New("no table of commands")
	}
	return c, nil
}
