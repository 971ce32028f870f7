// Package state keeps the files of the state directory. A file holds records of
// bytes, each with a kind, a version and a checksum. It is replaced as a whole,
// survives a crash or power failure, and gives all sound records if it is damaged.
package state
