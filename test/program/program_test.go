package program

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// Eight goroutines write a program, run it at once, and by that fork while others
// write theirs. Without the lock one start of forty fails.
func TestProgramRunsAtOnceWhileOthersStart(t *testing.T) {
	dir := t.TempDir()
	testkit.Go(8, func(i int) {
		for j := range 100 {
			file := filepath.Join(dir, fmt.Sprintf("%d-%d", i, j))
			Script(t, file, "exit 0")
			if err := exec.Command(file).Run(); err != nil {
				t.Error(err)
			}
		}
	})()
}
