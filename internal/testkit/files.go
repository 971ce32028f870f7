package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

// TempFile writes the text to a new file with exactly this mode and returns its path.
func TempFile(t testing.TB, text string, mode os.FileMode) string {
	t.Helper()
	path := NewFile(t, "file", text)
	if err := os.Chmod(path, mode); err != nil { // the umask does not apply
		t.Fatal(err)
	}
	return path
}

// NewFile writes the text to a new file of this name, in a directory of its own, and
// returns its path.
func NewFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	WriteFile(t, path, text)
	return path
}

// WriteFile writes a file that only its owner may read.
func WriteFile[T string | []byte](t testing.TB, path string, content T) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ReadFile returns the content of a file.
func ReadFile(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// ReplaceFile replaces a file as a deployment does: it writes a file beside it and
// renames that.
func ReplaceFile(t testing.TB, path, text string) {
	t.Helper()
	WriteFile(t, path+".tmp", text)
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
}
