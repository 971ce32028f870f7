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

// ownedFile is the FileInfo of a file with an owner.
type ownedFile struct {
	fs.FileInfo
	uid uint32
}

func (o ownedFile) Sys() any { return &syscall.Stat_t{Uid: o.uid} }

func TestGroupReadsFilesOfRootOnly(t *testing.T) {
	for _, c := range []struct {
		owner uint32
		us    int
		want  fs.FileMode
	}{{0, 65532, 0o040}, {0, 0, 0}, {65532, 65532, 0}, {1000, 65532, 0}} {
		if got := groupReadBit(ownedFile{uid: c.owner}, c.us); got != c.want {
			t.Errorf("a file of user %d, read by %d: got %04o, want %04o", c.owner, c.us, got, c.want)
		}
	}
}

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
