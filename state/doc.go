// Package state writes the files of the state directory: each is replaced as a whole,
// survives a crash or power failure, and is set aside if it is damaged.
package state
