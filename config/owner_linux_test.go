package config

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// Through a mount that is read-only nobody writes, whatever the modes say: those of
// Kubernetes have directories of mode 0777, and files of any mode.
// Faults: T74.
func TestFilesOfReadOnlyMountsRunCommands(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, NOT PROVEN: only root may mount")
	}
	g := newConfigDir(t)
	g.file("a.toml", 0o666)
	g.chmod("", 0o777)
	if n, said := g.load(); n != 0 || said == "" {
		t.Errorf("before it is mounted: %d monitors, %s", n, said)
	}
	// The mount is seen by this thread only, which ends with the test.
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		t.Skipf("SKIPPED, NOT PROVEN: this root may not mount: %v", err)
	}
	g.must(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	g.must(syscall.Mount(g.dir, g.dir, "", syscall.MS_BIND, ""))
	g.must(syscall.Mount("", g.dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	n, said := g.load()
	g.must(syscall.Unmount(g.dir, 0))
	if n != 1 || said != "" {
		t.Errorf("%d monitors: %s", n, said)
	}
}
