package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

// TempFile writes the text to a new file with exactly this mode and returns its path.
func TempFile(t testing.TB, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // the umask does not apply
		t.Fatal(err)
	}
	return path
}

// ReplaceFile replaces a file as a deployment does: it writes a file beside it and
// renames that.
func ReplaceFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".tmp", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
}
