package state

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/bits"
)

// readSize is how much of a file is read at a time.
const readSize = 64 << 10

// traces is what a file holds besides sound records.
type traces struct {
	// damaged is set unless that is an unfinished line at the end: the trace of a write
	// that was cut short, whose records nobody was told of.
	damaged bool
	// zeros is set if some of it never reached the disk.
	zeros bool
}

// unwritten is what no sound file holds. A flipped bit makes one NUL at most.
var unwritten = make([]byte, 8)

// scan reads lines and passes each sound record of a letter to each, in the order of
// the file. The data of a record is valid until each returns.
func scan(from io.Reader, letter byte, each func(placed)) (found traces, err error) {
	r := bufio.NewReaderSize(from, readSize)
	var line []byte
	for {
		line, err = readLine(r, line[:0])
		if err != nil && !errors.Is(err, io.EOF) {
			return found, err
		}
		finished := err == nil
		for rest := line; len(rest) > 0; {
			record, after, ok := cutLine(rest)
			if !ok {
				found.zeros = found.zeros || bytes.Contains(rest, unwritten)
				found.damaged = found.damaged || finished
				break
			}
			if record.letter == letter {
				each(record)
			} else {
				found.damaged = true
			}
			if len(after) > 0 && after[0] != '\n' && (finished || after[0] != 0) {
				found.damaged = true // the newline
			}
			rest = after[min(1, len(after)):]
		}
		if !finished {
			return found, nil
		}
	}
}

// readLine appends the next line to line, with its newline. What exceeds maxLine is
// dropped. At the end of the file the error is io.EOF, and the line is unfinished.
func readLine(r *bufio.Reader, line []byte) ([]byte, error) {
	for {
		part, err := r.ReadSlice('\n')
		if room := maxLine - len(line); len(part) > room {
			part = part[:room]
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// indexes is a set of indexes of records.
type indexes struct {
	words []uint64
	end   uint64 // above the highest
}

func (s *indexes) add(index uint64) {
	if need := int(index/64) + 1; need > len(s.words) {
		s.words = append(s.words, make([]uint64, need-len(s.words))...)
	}
	s.words[index/64] |= 1 << (index % 64)
	s.end = max(s.end, index+1)
}

func (s *indexes) has(index uint64) bool {
	return index < s.end && s.words[index/64]&(1<<(index%64)) != 0
}

// missing returns how many indexes below the highest are not in the set.
func (s *indexes) missing() uint64 {
	n := s.end
	for _, w := range s.words {
		n -= uint64(bits.OnesCount64(w))
	}
	return n
}

// cutKey reads a key that appendKey wrote.
func cutKey(data []byte) (key string, rest []byte, ok bool) {
	length, rest, ok := bytes.Cut(data, []byte(":"))
	n := 0
	for _, c := range length {
		if c < '0' || c > '9' || n > maxRecord {
			return "", nil, false
		}
		n = 10*n + int(c-'0')
	}
	if !ok || len(length) == 0 || n > len(rest) {
		return "", nil, false
	}
	return string(rest[:n]), rest[n:], true
}
