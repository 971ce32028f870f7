package testkit

import (
	"syscall"
	"testing"
)

// MakeFIFO creates a named pipe.
func MakeFIFO(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
}
