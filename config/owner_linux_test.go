package config

import (
	"runtime"
	"syscall"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// TestFilesOfReadOnlyMountsRunCommands mounts a directory of mode 0777 read-only, as
// Kubernetes does.
// Faults: T74.
func TestFilesOfReadOnlyMountsRunCommands(t *testing.T) {
	testkit.SkipUnlessRoot(t, "mount")
	d := newConfigDir(t)
	d.file("a.toml", 0o666)
	d.chmod("", 0o777)
	if n, problems := d.load(); n != 0 || problems == "" {
		t.Errorf("before it is mounted: %d monitors, %s", n, problems)
	}
	// The mount is seen by this thread only, which ends with the test.
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		t.Skipf("SKIPPED, NOT PROVEN: this root may not mount: %v", err)
	}
	d.must(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	d.must(syscall.Mount(d.dir, d.dir, "", syscall.MS_BIND, ""))
	d.must(syscall.Mount("", d.dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	n, problems := d.load()
	d.must(syscall.Unmount(d.dir, 0))
	if n != 1 || problems != "" {
		t.Errorf("%d monitors: %s", n, problems)
	}
}
