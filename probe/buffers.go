package probe

import (
	"bufio"
	"io"
	"sync"
)

// bufferSize is the size of each buffer, enough for a usual header.
const bufferSize = 4 << 10

// buffers lends buffers to the probes of one kind while they measure, so that
// those that wait for their next turn hold none.
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

// giveReader takes a buffer back.
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

// giveWriter takes a buffer back, flushed or not.
func (b *buffers) giveWriter(bw *bufio.Writer) {
	bw.Reset(nil)
	b.writers.Put(bw)
}
