// Package probe holds the kinds of probes, one file each.
//
// The life of a probe:
//
//  1. New looks up the kind by name and passes it a function that decodes its keys.
//     The kind sets its defaults, decodes, checks, and returns a Probe. It opens
//     only files named by keys that end in _file.
//  2. Probe measures, one call at a time, within the deadline of its context. It
//     returns a number or an error. An error is a failure, never a number that
//     might be in the expected range.
//  3. Close releases what the probe holds.
//
// A probe that an operator registered over the API is Restricted: it connects to
// public addresses only, and shows no more of what it read than the number.
package probe
