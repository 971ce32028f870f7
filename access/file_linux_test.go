package access

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/test/program"
)

// TestTokenFileOfRootIsReadByItsGroup reads a token file as Kubernetes mounts it for a
// container that does not run as root.
func TestTokenFileOfRootIsReadByItsGroup(t *testing.T) {
	const group = 65532
	if file := os.Getenv("TEST_TOKEN_FILE"); file != "" {
		if _, err := Load(file); err != nil {
			t.Fatal(err)
		}
		return
	}
	testkit.SkipUnlessRoot(t, "run a test as another user")
	dir, err := os.MkdirTemp("/tmp", "tokens")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file, self := filepath.Join(dir, "tokens"), filepath.Join(dir, "self")
	exe := testkit.ReadFile(t, "/proc/self/exe")
	program.Write(t, self, exe)
	for _, err := range []error{
		os.WriteFile(file, []byte("admin:0123456789abcdef\n"), 0o600), os.Chown(file, 0, group),
		os.Chmod(self, 0o755), os.Chmod(dir, 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for mode, fine := range map[fs.FileMode]bool{0o440: true, 0o640: true, 0o400: false, 0o460: false, 0o444: false} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "TEST_TOKEN_FILE="+file)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: group, Gid: group}}
		if out, err := cmd.CombinedOutput(); (err == nil) != fine {
			t.Errorf("mode %04o: %v\n%s", mode, err, out)
		}
	}
}
