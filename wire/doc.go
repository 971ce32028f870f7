// Package wire reads and writes the bytes of the bus messages (proto/health)
// without building messages. It is the only package that knows their field
// numbers.
package wire
