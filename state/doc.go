// Package state holds what the files of the state directory have in common: they
// are replaced as a whole, survive a sudden end, and are set aside when damaged.
package state
