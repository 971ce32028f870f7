package testkit

import (
	"testing"
	"time"
)

// TakesAtMost fails the test if do takes longer than limit in each of three runs.
// On a busy machine a single run says little.
func TakesAtMost(t *testing.T, limit time.Duration, do func()) {
	t.Helper()
	var took time.Duration
	for range 3 {
		begin := time.Now()
		do()
		if took = time.Since(begin); took <= limit {
			return
		}
	}
	t.Errorf("took %v, want at most %v", took, limit)
}
