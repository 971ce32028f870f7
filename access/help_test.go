package access

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const tokenFile = `# tokens of the tests
viewer:look-and-see-all

operator:drive:now-and-then
admin: all~of!it~for+ever
`

// write returns the path of a new file with the text and the mode.
func write(t testing.TB, text string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func load(t testing.TB) *Tokens {
	t.Helper()
	tokens, err := Load(write(t, tokenFile, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
}
