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
	keySize    = 2 * 8 // of the random part of a mark, in hexadecimal digits
	recordSize = keySize + 8
	// maxPlaces bounds the table, in runs at a time. Those beyond are not guarded.
	maxPlaces = 4096
	// nowhere is the place of a run that has none.
	nowhere = 0

	// tableKey is the key of the table's first record, whose number is the
	// session of the commands. It changes with the form of the table.
	tableKey = "command-table-01"
)

// table is a file in memory with a record for each run that goes on: the key of
// its mark and the number of its group, both zero where there is none. To write to
// it is all that a run costs; it is read when its writer is dead.
type table struct {
	mu     sync.Mutex
	file   *os.File // nil until opened; guarded by mu
	unused []int    // guarded by mu
	used   int      // places given out so far; guarded by mu
}

// open makes the file.
func (t *table) open() error {
	fd, err := unix.MemfdCreate("commands", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("making the table of commands: %w", err)
	}
	session, err := unix.Getsid(0)
	if err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("asking for the session: %w", err)
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

func (t *table) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.file.Close()
	t.file = nil
}

// take gives a run a place, or nowhere.
func (t *table) take(key string) int {
	t.mu.Lock()
	place := nowhere
	switch n := len(t.unused); {
	case t.file == nil:
	case n > 0:
		place, t.unused = t.unused[n-1], t.unused[:n-1]
	case t.used < maxPlaces:
		t.used++
		place = t.used
	}
	t.mu.Unlock()
	t.write(place, key, 0)
	return place
}

// free empties a place.
func (t *table) free(place int) {
	if place == nowhere {
		return
	}
	t.write(place, "", 0)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unused = append(t.unused, place)
}

func (t *table) write(place int, key string, group int) {
	if place == nowhere {
		return
	}
	t.mu.Lock()
	file := t.file
	t.mu.Unlock()
	if file != nil {
		_, _ = file.WriteAt(record(key, group), int64(place)*recordSize) // memory: nothing to be done if there is none
	}
}

func record(key string, number int) []byte {
	b := make([]byte, recordSize)
	copy(b, key)
	binary.LittleEndian.PutUint64(b[keySize:], uint64(number))
	return b
}

// current is what a table holds.
type current struct {
	session int // 0 if it is of another namespace of processes
	keys    map[string]bool
	groups  map[int]bool
}

// readTable reads the table of another process.
func readTable(file *os.File) (current, error) {
	b := make([]byte, (1+maxPlaces)*recordSize)
	n, _ := file.ReadAt(b, 0) // which ends before
	c := current{keys: make(map[string]bool), groups: make(map[int]bool)}
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
