package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/cli"
	"github.com/microhq/monitor-srv/config"
	"github.com/microhq/monitor-srv/internal/testkit"
)

const isPipe = "not a regular file but a named pipe: give the path of a regular file"

// TestNamedPipesHangNothing has named pipes in the place of monitor files, secrets, a
// snapshot and an old ledger: at the start, swapped in while the service runs, and registered.
// Faults: S2.
func TestNamedPipesHangNothing(t *testing.T) {
	t.Parallel()
	dir, secrets, state := t.TempDir(), t.TempDir(), t.TempDir()
	l := testkit.Listen(t)
	secret := func(name string) string { return filepath.Join(secrets, name) }
	redis := func(name string) string {
		return monitorTOML(name, "redis", "address = \""+l.Addr().String()+"\"\npassword_file = \""+secret(name)+"\"")
	}
	testkit.MakeFIFO(t, filepath.Join(dir, "pipe.toml"))
	testkit.MakeFIFO(t, filepath.Join(state, "ledger"))
	testkit.MakeFIFO(t, filepath.Join(state, "snapshot-1"))
	testkit.MakeFIFO(t, secret("piped"))
	testkit.WriteFile(t, secret("swapped"), "one")
	testkit.WriteFile(t, filepath.Join(dir, "a.toml"), redis("swapped")+redis("piped"))
	m := startMonitor(t, "--registry", "memory", "-d", dir, "--state_dir", state, "--token_file", tokenFile(t))
	m.ready(startWithin)
	if p := m.component("monitors"); p.OK || !strings.HasPrefix(p.Reason, "2 problems ") {
		t.Errorf("the health is %+v", p)
	}
	for _, want := range []string{"pipe.toml: cannot open it: " + isPipe, "reading password_file: open " + secret("piped") + ": " + isPipe, "the ledger of an older version is damaged", "a snapshot is damaged"} {
		if !strings.Contains(m.output(), want) {
			t.Errorf("not in the log: %s", want)
		}
	}
	testkit.MakeFIFO(t, secret("tmp"))
	if err := os.Rename(secret("tmp"), secret("swapped")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 2*config.PollInterval, "the swapped file is noticed", func() bool {
		return strings.Contains(m.output(), secret("swapped")+": "+isPipe+"; the previous one stays in use")
	})
	if _, stderr, code := m.command(adm, redis("new"), "register", "-"); code != cli.ExitFailed || !strings.Contains(stderr, "400") || !strings.Contains(stderr, "no such file") {
		t.Errorf("registering with an absent file: exit %d, %s", code, stderr)
	}
	testkit.MakeFIFO(t, secret("new"))
	if _, stderr, code := m.command(adm, redis("new"), "register", "-"); code != cli.ExitFailed || !strings.Contains(stderr, "400") || !strings.Contains(stderr, isPipe) {
		t.Errorf("registering with a named pipe: exit %d, %s", code, stderr)
	}
	m.reload()
	if took, err := m.terminate(); err != nil || took > 9*time.Second {
		t.Errorf("stopped in %v, %v", took, err)
	}
}

// TestNamedPipesOfFlagsAreRefused has named pipes in the place of files that flags and
// arguments name.
// Faults: S2.
func TestNamedPipesOfFlagsAreRefused(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	testkit.MakeFIFO(t, filepath.Join(state, "journal"))
	pipe := filepath.Join(t.TempDir(), "pipe")
	testkit.MakeFIFO(t, pipe)
	serve := []string{"--registry", "memory", "--http_address", "127.0.0.1:0", "--server_address", "127.0.0.1:0", "-d", t.TempDir()}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"token_file": {append(serve, "--token_file", pipe), cli.ExitUsage, isPipe},
		"exec_allow": {append(serve, "--exec_allow", pipe), cli.ExitUsage, isPipe},
		"state_dir":  {append(serve, "--state_dir", pipe), cli.ExitFailed, "not a directory"},
		"journal":    {append(serve, "--state_dir", state), cli.ExitFailed, filepath.Join(state, "journal") + ": " + isPipe},
		"check":      {[]string{"check", pipe}, cli.ExitFailed, pipe},
		"probe":      {[]string{"probe", pipe}, cli.ExitFailed, isPipe},
		"register":   {[]string{"register", pipe}, cli.ExitFailed, isPipe},
		"zero":       {[]string{"register", "/dev/zero"}, cli.ExitFailed, "a device"},
	} {
		if stdout, stderr, code := monitorSrv(t, "", c.args...); code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%s: exit %d, %s%s", name, code, stdout, stderr)
		}
	}
}

// TestFilesAreRelativeToTheFileThatNamesThem checks and registers a file from another
// working directory than that of the file.
// Faults: U11.
func TestFilesAreRelativeToTheFileThatNamesThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	testkit.WriteFile(t, filepath.Join(dir, "secrets", "password"), "x")
	file := filepath.Join(dir, "a.toml")
	testkit.WriteFile(t, file, monitorTOML("a", "redis", "address = \"127.0.0.1:1\"\npassword_file = \"secrets/password\""))
	if stdout, stderr, code := monitorSrv(t, "", "check", file); code != 0 {
		t.Errorf("check: exit %d, %s%s", code, stdout, stderr)
	}
	m := startMonitor(t, "--registry", "memory", "-d", t.TempDir(), "--token_file", tokenFile(t))
	m.ready(startWithin)
	if stdout, stderr, code := m.command(adm, "", "register", file); code != 0 {
		t.Errorf("register: exit %d, %s%s", code, stdout, stderr)
	}
}
