package ingest

import (
	"sync"

	"github.com/microhq/monitor-srv/store"
)

// item is one queued event, with a copy of all its bytes.
type item struct {
	event    store.Event
	data     []byte
	category category
	seq      uint64 // order of arrival
	next     *item
}

// itemOverhead is the memory of an item without its data, rounded up.
const itemOverhead = 320

func (it *item) size() int { return itemOverhead + len(it.data) }

// set makes the item a copy of e.
func (it *item) set(e *store.Event) {
	it.event = *e
	it.category = categoryOf(e)
	it.next = nil
	fields := [...]*[]byte{
		&it.event.Service, &it.event.Version, &it.event.Node, &it.event.Address,
		&it.event.Metadata, &it.event.ID, &it.event.Description, &it.event.Body,
	}
	size := 0
	for _, f := range fields {
		size += len(*f)
	}
	if cap(it.data) < size {
		it.data = make([]byte, 0, size)
	}
	data := it.data[:0]
	for _, f := range fields {
		start := len(data)
		data = append(data, *f...)
		*f = data[start:len(data):len(data)]
	}
	it.data = data
}

// items is a pool of items.
type items struct{ pool sync.Pool }

// maxPooledData bounds the data buffer that an item keeps in the pool. Nearly all
// events are smaller, and a few large ones must not make the pool large.
const maxPooledData = 1 << 10

func (p *items) get() *item {
	if it, ok := p.pool.Get().(*item); ok {
		return it
	}
	return new(item)
}

func (p *items) put(it *item) {
	if cap(it.data) > maxPooledData {
		it.data = nil
	}
	it.event = store.Event{}
	it.next = nil
	p.pool.Put(it)
}

// list is a list of items, oldest first. The zero value is empty.
type list struct{ head, tail *item }

func (l *list) push(it *item) {
	if l.tail == nil {
		l.head = it
	} else {
		l.tail.next = it
	}
	l.tail = it
}

// pop returns the oldest item, or nil.
func (l *list) pop() *item {
	it := l.head
	if it == nil {
		return nil
	}
	l.head = it.next
	if l.head == nil {
		l.tail = nil
	}
	it.next = nil
	return it
}
