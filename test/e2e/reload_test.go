package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// What stands under the name of the directory is read, whenever it came and
// however it was put there.
func TestDirectoryOfMonitorsMayComeLaterAndBeReplaced(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	base := t.TempDir()
	dir := filepath.Join(base, "conf")
	file := func(name string) string {
		return fmt.Sprintf("[[monitor]]\nname = %q\n[monitor.probe]\ntype = \"exec\"\ncommand = \"/bin/true\"\n", name)
	}
	fine := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	m := startMonitor(t, "--registry", "memory", "-d", dir)
	m.ready(startWithin)
	runs := func(names ...string) {
		t.Helper()
		testkit.Eventually(t, 10*time.Second, strings.Join(names, " and ")+" run, nothing else", func() bool {
			stdout, _, _ := m.command("", "", "list")
			for _, name := range names {
				if !strings.Contains(stdout, " "+name+" ") {
					return false
				}
			}
			return strings.Count(stdout, "\n") == len(names)+1
		})
	}
	if !strings.Contains(m.output(), "level=WARN msg=\"the directory of monitors does not exist") {
		t.Errorf("nothing warns of a directory that is not there:\n%s", m.output())
	}
	runs()

	fine(os.Mkdir(dir, 0o755))
	testkit.ReplaceFile(t, filepath.Join(dir, "a.toml"), file("late"))
	runs("late")

	// Another directory of the same name.
	fine(os.Rename(dir, filepath.Join(base, "old")))
	fine(os.Mkdir(dir, 0o755))
	testkit.ReplaceFile(t, filepath.Join(dir, "b.toml"), file("replaced"))
	runs("replaced")

	// As Kubernetes does: the files are links through a link that is switched.
	for _, version := range []string{"one", "two"} {
		fine(os.Mkdir(filepath.Join(dir, "..dir-"+version), 0o755))
		testkit.ReplaceFile(t, filepath.Join(dir, "..dir-"+version, "c.toml"), file(version))
	}
	fine(os.Symlink("..dir-one", filepath.Join(dir, "..data")))
	fine(os.Symlink("..data/c.toml", filepath.Join(dir, "c.toml")))
	runs("replaced", "one")
	fine(os.Symlink("..dir-two", filepath.Join(dir, "..data_tmp")))
	fine(os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	runs("replaced", "two")

	// A directory that goes takes nothing with it, one that comes again is seen.
	fine(os.RemoveAll(dir))
	testkit.Eventually(t, 10*time.Second, "it is said", func() bool { return strings.Count(m.output(), "no directory of monitors") > 1 })
	runs("replaced", "two")
	fine(os.Mkdir(dir, 0o755))
	testkit.ReplaceFile(t, filepath.Join(dir, "d.toml"), file("again"))
	runs("again")
	m.stopsInOrder(t)
}
