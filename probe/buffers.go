package probe

import (
	"bufio"
	"io"
	"sync"
)

// bufferSize is the size of each buffer: enough for a typical header.
const bufferSize = 4 << 10

// buffers pools the buffers of all probes of one kind, so that probes hold none
// between measurements.
type buffers struct{ readers, writers sync.Pool }

func newBuffers() *buffers {
	return &buffers{
		readers: sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferSize) }},
		writers: sync.Pool{New: func() any { return bufio.NewWriterSize(nil, bufferSize) }},
	}
}

// reader returns an empty buffer that reads from r.
func (b *buffers) reader(r io.Reader) *bufio.Reader {
	br := b.readers.Get().(*bufio.Reader)
	br.Reset(r)
	return br
}

// giveReader returns a buffer to the pool.
func (b *buffers) giveReader(br *bufio.Reader) {
	br.Reset(nil)
	b.readers.Put(br)
}

// writer returns an empty buffer that writes to w.
func (b *buffers) writer(w io.Writer) *bufio.Writer {
	bw := b.writers.Get().(*bufio.Writer)
	bw.Reset(w)
	return bw
}

// giveWriter returns a buffer to the pool, flushed or not.
func (b *buffers) giveWriter(bw *bufio.Writer) {
	bw.Reset(nil)
	b.writers.Put(bw)
}
