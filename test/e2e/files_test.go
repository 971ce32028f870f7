package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/config"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// One bad file among 50: 49 run, the errors are in the log and in the health of
// the instance, and reading the files again and again tells nobody anything.
// Faults: T74.
func TestReloadUnderLoadNotifiesNobody(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	dir := t.TempDir()
	told := filepath.Join(t.TempDir(), "told")
	text := func(i int) string {
		return fmt.Sprintf("[[monitor]]\nname = \"m%d\"\ninterval = 1\n[monitor.probe]\ntype = \"exec\"\ncommand = \"/bin/true\"\n[[monitor.actions]]\nreceiver = \"file\"\n", i)
	}
	const n = 49
	for i := range n {
		testkit.ReplaceFile(t, filepath.Join(dir, fmt.Sprintf("%02d.toml", i)), text(i))
	}
	testkit.ReplaceFile(t, filepath.Join(dir, "receivers.toml"), fmt.Sprintf("[[receiver]]\nname = \"file\"\ntype = \"exec\"\ncommand = \"/bin/sh\"\nargs = [\"-c\", \"echo $GOMA_MONITOR $GOMA_EVENT >> %s\"]\n", told))
	bad := filepath.Join(dir, "bad.toml")
	testkit.ReplaceFile(t, bad, strings.Replace(text(n), "interval", "intervall", 1))
	m := startMonitor(t, "--registry", "memory", "-d", dir)
	m.ready(startWithin)
	testkit.Eventually(t, 20*time.Second, "all are told of their start", func() bool { return len(lines(t, told)) == n })
	want := `bad.toml:3: monitor "m49": intervall: unknown key; did you mean "interval"?`
	if p := m.component("monitors"); p.OK || p.Needed || !strings.HasPrefix(p.Reason, "1 problem in the files of monitors, see the log; the first: ") || !strings.HasSuffix(p.Reason, want) {
		t.Errorf("the health is %+v", p)
	}
	if !strings.Contains(m.output(), strings.ReplaceAll(want, `"`, `\"`)) {
		t.Errorf("not in the log: %s", want)
	}
	testkit.ReplaceFile(t, bad, strings.Repeat("#", 10<<20))
	for i := range 20 {
		testkit.ReplaceFile(t, filepath.Join(dir, fmt.Sprintf("%02d.toml", i)), text(i)+"# touched\n")
		m.reload()
		time.Sleep(50 * time.Millisecond)
	}
	testkit.Eventually(t, 10*time.Second, "the file of 10 MiB is refused", func() bool {
		return strings.HasSuffix(m.component("monitors").Reason, "bad.toml: larger than the limit of 4 MiB: split it")
	})
	if code, report := m.ask("/readyz"); code != 200 || report.Status != "degraded" {
		t.Errorf("/readyz is %d %q", code, report.Status)
	}
	testkit.Remove(t, bad)
	testkit.Eventually(t, 10*time.Second, "all is well without it", func() bool { return m.component("monitors").OK })
	testkit.Eventually(t, 10*time.Second, "all are checks", func() bool { return m.checks(`{"source": 1, "status": 1}`).Total == n })
	if got := lines(t, told); len(got) != n {
		t.Errorf("%d notices, want %d: %q", len(got), n, got[n:])
	}
	m.stopsInOrder(t)
}

// A token that is rotated is taken without a restart, an edit or a signal, and is
// in nothing that the program writes.
func TestRotatedTokenIsTakenByItself(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer fresh-hunter2" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer web.Close()
	dir := t.TempDir()
	token := filepath.Join(t.TempDir(), "token")
	testkit.ReplaceFile(t, token, "stale-hunter2\n")
	testkit.ReplaceFile(t, filepath.Join(dir, "a.toml"), fmt.Sprintf("[[monitor]]\nname = \"a\"\ninterval = 1\n[monitor.probe]\ntype = \"http\"\nurl = %q\nbearer_file = %q\n", web.URL, token))
	m := startMonitor(t, "--registry", "memory", "-d", dir)
	m.ready(startWithin)
	testkit.Eventually(t, 10*time.Second, "it fails", func() bool { return m.checks(`{"source": 1, "status": 2}`).Total == 1 })
	testkit.ReplaceFile(t, token, "fresh-hunter2\n")
	testkit.Eventually(t, 2*config.PollInterval, "it is well", func() bool { return m.checks(`{"source": 1, "status": 1}`).Total == 1 })
	if strings.Contains(m.output(), "hunter2") {
		t.Error("the log holds the token")
	}
	m.stopsInOrder(t)
}

// What stands under the name of the directory is read, whenever it came and
// however it was put there. While it is missing or empty, the instance is not ready.
// Faults: U8.
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
	files := func(want string) {
		t.Helper()
		testkit.Eventually(t, startWithin, fmt.Sprintf("the component files says %q", want), func() bool {
			code, _ := m.ask("/readyz")
			p := m.component("files")
			return p.Needed && p.OK == (want == "") && strings.Contains(p.Reason, want) && (code == http.StatusOK) == p.OK
		})
	}
	files("does not exist: create it, or correct config_dir")
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
	if !strings.Contains(m.output(), "level=ERROR msg=\"the directory of monitors") {
		t.Errorf("no error for a directory that is not there:\n%s", m.output())
	}
	runs()

	fine(os.Mkdir(dir, 0o755))
	testkit.ReplaceFile(t, filepath.Join(dir, "a.toml"), file("late"))
	runs("late")
	files("")

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
	files("does not exist: create it, or correct config_dir; the monitors stay as they were")
	runs("replaced", "two")
	fine(os.Mkdir(dir, 0o755))
	testkit.ReplaceFile(t, filepath.Join(dir, "d.toml"), file("again"))
	runs("again")
	files("")

	// The last file goes.
	testkit.Remove(t, filepath.Join(dir, "d.toml"))
	files("has no files *.toml any more")
	runs("again")
	m.stopsInOrder(t)
}
