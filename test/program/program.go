// Package program writes programs that a test runs.
package program

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Write writes a program that may be run at once, even while other goroutines
// start processes. With os.WriteFile alone, a child that is forked while the file
// is open for writing holds it open too, until a moment after its own program was
// loaded; whoever starts the file within that moment is told "text file busy". So
// no fork may come between opening and closing.
func Write(tb testing.TB, file string, text []byte) {
	tb.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(file, text, 0o700); err != nil {
		tb.Fatal(err)
	}
}

// WriteIn writes a program with a name and a mode to a directory, as Write does, and
// returns its path.
func WriteIn(tb testing.TB, dir, name, text string, mode os.FileMode) string {
	tb.Helper()
	file := filepath.Join(dir, name)
	Write(tb, file, []byte(text))
	if err := os.Chmod(file, mode); err != nil {
		tb.Fatal(err)
	}
	return file
}

// Script writes a shell script of some lines, as Write does.
func Script(tb testing.TB, file string, lines ...string) {
	tb.Helper()
	Write(tb, file, []byte("#!/bin/sh\n"+strings.Join(lines, "\n")+"\n"))
}
