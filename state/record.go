package state

import "hash/crc32"

// A Record is one piece of the state of a room.
type Record struct {
	// Kind names what the record holds, without spaces and slashes.
	Kind string
	// Version is that of the form of Data, from 1.
	Version int
	Data    []byte
}

// Checksum returns the CRC-32C of b.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
