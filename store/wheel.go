package store

// list is a queue of entries, linked through the entries.
type list struct{ head, tail *entry }

func (l *list) push(e *entry) {
	e.prev, e.next = l.tail, nil
	if l.tail == nil {
		l.head = e
	} else {
		l.tail.next = e
	}
	l.tail = e
}

func (l *list) remove(e *entry) {
	if e.prev == nil {
		l.head = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.tail = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.prev, e.next = nil, nil
}

// wheelSlots makes the wheel turn in 17 minutes. Entries that are due later are looked at
// once a turn.
const wheelSlots = 4096

// wheel holds entries by the tick at which they are due. An entry that has become due
// later stays until its former tick and is put back then, so most events do not touch the
// wheel.
type wheel struct {
	slots [wheelSlots]list
	// at is the next tick to look at.
	at uint32
}

// put makes e due at the given tick, or after a turn of the wheel.
func (w *wheel) put(e *entry, due uint32) {
	e.due = min(max(due, w.at), w.at+wheelSlots-1)
	w.slots[e.due%wheelSlots].push(e)
}

func (w *wheel) remove(e *entry) { w.slots[e.due%wheelSlots].remove(e) }

// next removes and returns an entry that is due at tick now or before, or nil.
func (w *wheel) next(now uint32) *entry {
	if now >= w.at+wheelSlots {
		w.at = now - wheelSlots + 1 // one turn sees every slot
	}
	for ; w.at <= now; w.at++ {
		l := &w.slots[w.at%wheelSlots]
		if e := l.head; e != nil {
			l.remove(e)
			return e
		}
	}
	return nil
}
