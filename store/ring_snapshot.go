package store

import (
	"encoding/binary"
	"fmt"
	"math"
)

// transitionsPerRecord is how many transitions are in one record of a snapshot.
const transitionsPerRecord = 64

// seqMargin is more than the number of transitions that can follow a snapshot before the
// process is killed: the first seq of the next run is larger than all of these, even if
// the clock was set back.
const seqMargin = 1 << 24

// write calls add with records of all transitions, the oldest first.
func (r *ring) write(add func(record []byte) error) error {
	var buf []byte
	for seq, more := int64(math.MinInt64), true; more; {
		if buf, seq, more = r.appendRecord(buf[:0], seq); len(buf) == 0 {
			return nil
		}
		if err := add(buf); err != nil {
			return err
		}
	}
	return nil
}

// appendRecord appends a record of the transitions from seq on, and returns where the next
// one begins.
func (r *ring) appendRecord(b []byte, seq int64) (record []byte, next int64, more bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := r.from(seq)
	stop := min(n+transitionsPerRecord, r.end)
	if n == stop {
		return b, seq, false
	}
	b = append(b, recordTransitions)
	for ; n < stop; n++ {
		rec := r.at(n)
		next = rec.seq + 1
		b = rec.appendTo(b)
	}
	return b, next, stop < r.end
}

func (r *record) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(r.seq))
	b = binary.AppendVarint(b, r.unixNano)
	b = append(b, byte(r.kind), byte(r.from), byte(r.to), byte(r.cause))
	b = binary.AppendUvarint(b, uint64(r.past))
	b = binary.AppendUvarint(b, uint64(r.limit))
	return appendText(b, r.service, r.version, r.node, r.id, r.error)
}

// read fills a record of the ring, whose strings share memory if they are equal.
func (r *record) read(in *recordReader, share func([]byte) string) {
	r.seq, r.unixNano = int64(in.uint(math.MaxInt64-seqMargin)), in.int()
	r.kind = Kind(in.byteUpTo(byte(KindStatus)))
	r.from, r.to = judgement(in.byteUpTo(byte(judgedForgotten))), judgement(in.byteUpTo(byte(judgedForgotten)))
	r.cause = cause(in.byteUpTo(byte(withdrawn)))
	r.past, r.limit = uint32(in.uint(math.MaxUint32)), uint32(in.uint(math.MaxUint32))
	for _, to := range []*string{&r.service, &r.version, &r.node, &r.id, &r.error} {
		*to = share(in.text())
	}
	if len(r.error) > maxError {
		in.fail("an error that is too long")
	}
}

// restore adds records of a former run, which are newer than those restored before.
func (r *ring) restore(records []record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.added > 0 {
		return fmt.Errorf("%d transitions follow new ones", len(records))
	}
	previous := int64(0)
	if r.end > 0 {
		previous = r.at(r.end - 1).seq
	}
	for i := range records {
		if records[i].seq <= previous {
			return fmt.Errorf("transition %d follows %d", records[i].seq, previous)
		}
		previous = records[i].seq
	}
	for _, rec := range records {
		r.push(rec, rec.seq)
	}
	r.last = max(r.last, previous+seqMargin)
	r.began = r.last
	return nil
}
