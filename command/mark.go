package command

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
)

// markName is the variable that holds the mark of a run.
const markName = "MONITOR_RUN"

// mark is the number of a run. All its processes inherit it twice: as a variable, and
// as a resource limit, see markLimit.
type mark uint64

// newMark returns a random mark. It is never the value of no limit, which has all bits
// set.
func newMark() mark {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return mark(binary.LittleEndian.Uint64(b[:]) >> 1)
}

// String returns the mark as 16 hexadecimal digits.
func (m mark) String() string { return fmt.Sprintf("%016x", uint64(m)) }

// variable returns the mark as NAME=VALUE.
func (m mark) variable() string { return markName + "=" + m.String() }
