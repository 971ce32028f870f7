package testkit

import (
	"strings"
	"testing"
)

// WantError fails the test unless err contains all parts.
func WantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got error %v, want one with %q", err, part)
		}
	}
}
