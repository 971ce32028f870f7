package testkit

import (
	"testing"
	"time"
)

// Until polls until ok returns true, and ends the test after 10 s.
func Until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the condition is still false after 10 s")
		}
	}
}
