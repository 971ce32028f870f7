package program

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Eight goroutines write a program, run it at once, and by that fork while others
// write theirs. Without the lock one start of forty fails.
func TestProgramRunsAtOnceWhileOthersStart(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 100 {
				file := filepath.Join(dir, fmt.Sprintf("%d-%d", i, j))
				Script(t, file, "exit 0")
				if err := exec.Command(file).Run(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
