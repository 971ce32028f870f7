package probe

import (
	"bytes"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// remedy says how to install the servers that these tests need.
const remedy = "run `make deps` (apt-get install mariadb-server postgresql redis-server)"

// needProgram finds a program of Debian, or ends the test with the remedy.
func needProgram(tb testing.TB, name string, dirs ...string) string {
	tb.Helper()
	for _, dir := range append(dirs, "/usr/sbin") {
		files, _ := filepath.Glob(filepath.Join(dir, name))
		if len(files) > 0 {
			return slices.Max(files)
		}
	}
	file, err := exec.LookPath(name)
	if err != nil {
		tb.Fatalf("%s is missing: %s", name, remedy)
	}
	return file
}

// plainUser returns the credential of an unprivileged user, because some servers
// refuse to run as root. It returns nil if this process has none to drop.
func plainUser(tb testing.TB) *syscall.Credential {
	tb.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		tb.Fatal(err)
	}
	uid, errUID := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(nobody.Gid, 10, 32)
	if errUID != nil || errGID != nil {
		tb.Fatal(errUID, errGID)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// serverDir returns a directory that the unprivileged user may write. Its path is
// short because servers create sockets in it.
func serverDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	if c := plainUser(tb); c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// serverCert makes a certificate for localhost that the unprivileged user may read,
// and returns the file of its authority too.
func serverCert(tb testing.TB, dir string) (ca, cert, key string) {
	tb.Helper()
	authority := testkit.NewCA(tb, "databases")
	for i, file := range pair(authority.Issue("localhost")) {
		text := testkit.ReadFile(tb, file)
		copied := filepath.Join(dir, []string{"cert.pem", "key.pem"}[i])
		if err := os.WriteFile(copied, text, 0o600); err != nil {
			tb.Fatal(err)
		}
		if c := plainUser(tb); c != nil {
			if err := os.Chown(copied, int(c.Uid), int(c.Gid)); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return authority.File, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}

func pair(a, b string) []string { return []string{a, b} }

// asPlainUser makes cmd run as the unprivileged user, and end with this process.
func asPlainUser(tb testing.TB, cmd *exec.Cmd) *exec.Cmd {
	tb.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: plainUser(tb)}
	return cmd
}

// startServer starts a server that is stopped at the end of the test.
func startServer(tb testing.TB, cmd *exec.Cmd) {
	tb.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		tb.Fatalf("starting %s: %v", cmd.Path, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		t := time.NewTimer(20 * time.Second)
		defer t.Stop()
		select {
		case <-done:
		case <-t.C:
			_ = cmd.Process.Kill()
			<-done
		}
		if tb.Failed() {
			tb.Logf("%s said:\n%s", filepath.Base(cmd.Path), said.Bytes())
		}
	})
}

// mustRun runs a command, which must succeed.
func mustRun(tb testing.TB, cmd *exec.Cmd) {
	tb.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}
