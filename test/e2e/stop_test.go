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

// heavyFiles returns a directory with files of monitors that take minutes to read.
func heavyFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var text strings.Builder
	for i := range 9_000 {
		fmt.Fprintf(&text, "[[monitor]]\nname = \"%d\"\n[monitor.probe]\ntype = \"tcp\"\naddress = \"127.0.0.1:1\"\nagain = %d\n", i, i)
	}
	first := filepath.Join(dir, "0.toml")
	testkit.WriteFile(t, first, text.String())
	for i := range 500 {
		if err := os.Symlink(first, filepath.Join(dir, fmt.Sprintf("%d.toml", i+1))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// worksFor waits until the process has used so much more time of a CPU.
func (p *process) worksFor(d time.Duration) {
	p.t.Helper()
	before := p.cpuTime()
	testkit.Eventually(p.t, ample, "the program works", func() bool { return p.cpuTime()-before > d })
}

// cpuTime returns what the process has used, which the kernel counts in hundredths of
// a second.
func (p *process) cpuTime() time.Duration {
	p.t.Helper()
	stat := string(testkit.ReadFile(p.t, fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)))
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')'):])
	var user, system int
	if _, err := fmt.Sscan(fields[12]+" "+fields[13], &user, &system); err != nil {
		p.t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestStopWhileFilesAreReadAtTheStart sends SIGTERM as soon as the program reads files
// for minutes.
// Faults: S3.
func TestStopWhileFilesAreReadAtTheStart(t *testing.T) {
	t.Parallel()
	m := startMonitor(t, "--registry", "memory", "-d", heavyFiles(t), "--state_dir", filepath.Join(t.TempDir(), "state"))
	m.worksFor(time.Second)
	if took, err := m.terminate(); err != nil || took > 5*time.Second || !strings.Contains(m.output(), "stopped while starting") {
		t.Errorf("stopped in %v, %v", took, err)
	}
}

// TestStopDuringAReload makes a running instance read files for minutes.
// Faults: S3.
func TestStopDuringAReload(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	heavy, dir := heavyFiles(t), filepath.Join(t.TempDir(), "conf")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m := startMonitor(t, "--registry", "memory", "-d", dir)
	m.ready(startWithin)
	if err := os.Rename(dir, dir+"-old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(heavy, dir); err != nil {
		t.Fatal(err)
	}
	m.reload()
	m.worksFor(time.Second)
	if code, _ := m.ask("/healthz"); code != 200 {
		t.Errorf("/healthz answers %d", code)
	}
	if took, err := m.terminate(); err != nil || took > 9*time.Second {
		t.Errorf("stopped in %v, %v", took, err)
	}
}
