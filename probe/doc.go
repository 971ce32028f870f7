// Package probe holds the kinds of probes, a file for each.
//
// The life of a probe:
//
//  1. New finds the kind by its name and hands it a function that decodes its
//     table. The kind fills its defaults, decodes, checks, and returns a Probe.
//     It opens nothing but the files that keys ending in _file name.
//  2. Probe measures, one call at a time, and obeys the deadline of its context.
//     It answers with a number or with an error, and an error is a failure, never
//     a number that might lie within somebody's range.
//  3. Close gives back what the probe held.
//
// A probe that was registered over the API by an operator is Restricted: it
// reaches public addresses only and tells nothing of what it read there but the
// number.
package probe
