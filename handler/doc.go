// Package handler holds the two doors of the bus side.
//
// Events takes what services publish: it subscribes to the three topics of the
// bus, decodes, validates and repairs each message, and hands it to the store
// through a bounded queue. One bad message never spoils another, and whatever
// is refused, repaired or dropped is counted.
//
// Monitor answers the questions of proto/monitor from the same store.
package handler
