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
type buffers struct {
	readers pool[*bufio.Reader, io.Reader]
	writers pool[*bufio.Writer, io.Writer]
}

func newBuffers() *buffers {
	b := &buffers{}
	b.readers.New = func() any { return bufio.NewReaderSize(nil, bufferSize) }
	b.writers.New = func() any { return bufio.NewWriterSize(nil, bufferSize) }
	return b
}

// pool pools buffers B of streams S.
type pool[B interface{ Reset(S) }, S any] struct{ sync.Pool }

// get returns an empty buffer of the stream.
func (p *pool[B, S]) get(stream S) B {
	b := p.Get().(B)
	b.Reset(stream)
	return b
}

// give returns a buffer to the pool. A writer need not be flushed.
func (p *pool[B, S]) give(b B) {
	var none S
	b.Reset(none)
	p.Put(b)
}
