package testkit

import (
	"testing"
	"time"
)

// Until is Eventually with a timeout of 10 s, for conditions that need no name.
func Until(t testing.TB, ok func() bool) {
	t.Helper()
	Eventually(t, 10*time.Second, "the condition of this line", ok)
}
