// Package safefile opens the files and directories that users name: in flags and
// variables, in monitor files, in the state directory. It opens regular files only,
// waits for nobody, and reads at most a given size, so that a named pipe, a device or
// a huge file in the place of a secret can neither block the process nor fill its
// memory. A test fails on code that opens files in another way.
//
// A file system that hangs, such as NFS without its server, hangs the caller too.
package safefile
