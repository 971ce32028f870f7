//go:build image

package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// engine is a docker engine of the test's own: its socket, its images and its
// containers live below one temporary folder and go with it.
type engine struct {
	dir string
	env []string
}

// startEngine starts dockerd without bridge and without iptables, so that it needs
// nothing of the host's network, and ends it with the test.
func startEngine(t *testing.T) *engine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the image test starts a docker engine: run it as root")
	}
	for _, command := range []string{"dockerd", "docker", "busybox"} {
		if _, err := exec.LookPath(command); err != nil {
			t.Fatalf("%v; run \"make image-test\", which installs it on Debian", err)
		}
	}
	// Short, because the path of a socket may hold about 100 bytes only.
	dir, err := os.MkdirTemp("/tmp", "image-")
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{dir: dir, env: append(os.Environ(),
		"DOCKER_HOST=unix://"+filepath.Join(dir, "sock"),
		"DOCKER_CONFIG="+filepath.Join(dir, "config"),
		"DOCKER_BUILDKIT=0", // the builder inside the engine; buildx is not installed everywhere
	)}
	logged, err := os.Create(filepath.Join(dir, "dockerd.log"))
	if err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command("dockerd",
		"--iptables=false", "--bridge=none",
		"--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"),
		"--host", "unix://"+filepath.Join(dir, "sock"),
		// A containerd that runs on the host already is shared, so the names are ours.
		"--containerd-namespace", filepath.Base(dir),
		"--containerd-plugins-namespace", filepath.Base(dir)+"-plugins",
	)
	daemon.Stdout, daemon.Stderr = logged, logged
	// A test that is killed must not leave the engine behind: on SIGTERM dockerd
	// stops its containers and ends. The signal comes when the starting thread ends.
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	t.Cleanup(func() { e.stop(t, daemon, ended, logged) })

	poll(t, 60*time.Second, "dockerd to answer", func() error {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("dockerd ended: %v\n%s", err, tail(logged.Name()))
		default:
		}
		_, err := e.try(t.Context(), nil, "version")
		return err
	})
	return e
}

// stop removes the containers, ends the engine, and fails the test if a process
// or a mount of it is left.
func (e *engine) stop(t *testing.T, daemon *exec.Cmd, ended chan error, logged *os.File) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if ids, err := e.try(ctx, nil, "ps", "-aq"); err == nil && ids != "" {
		if _, err := e.try(ctx, nil, append([]string{"rm", "-f"}, strings.Fields(ids)...)...); err != nil {
			t.Errorf("remove the containers: %v", err)
		}
	}
	_ = daemon.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Errorf("dockerd did not end within 30 s of SIGTERM\n%s", tail(logged.Name()))
		_ = daemon.Process.Kill()
		<-ended
	}
	_ = logged.Close()
	if left := processesNaming(e.dir); len(left) > 0 {
		t.Errorf("processes of the engine are left:\n%s", strings.Join(left, "\n"))
	}
	// RemoveAll would go into whatever is still mounted.
	if err := unmountBelow(e.dir); err != nil {
		t.Error(err)
		return
	}
	if err := os.RemoveAll(e.dir); err != nil {
		t.Error(err)
	}
}

// try runs one docker command and returns its output without the last newline.
func (e *engine) try(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = e.env, stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return strings.TrimSpace(stdout.String()), nil
}

// docker is try for commands that must work.
func (e *engine) docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := e.try(t.Context(), nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// logs returns what a container wrote to both streams.
func (e *engine) logs(t *testing.T, container string) string {
	t.Helper()
	// Asked for in a cleanup, when the test's own context is over.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", "logs", container)
	cmd.Env = e.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("docker logs: %v", err)
	}
	return string(out)
}

// unmountBelow unmounts what dockerd leaves mounted: the network namespace of the
// containers that ran on the host's network.
func unmountBelow(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		point := strings.Fields(line)[1]
		if !strings.HasPrefix(point, dir+"/") {
			continue
		}
		if err := syscall.Unmount(point, 0); err != nil {
			return fmt.Errorf("unmount %s: %w", point, err)
		}
	}
	return nil
}

// processesNaming lists the processes with the path in their command line.
func processesNaming(path string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && bytes.Contains(line, []byte(path)) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// tail returns the end of a log file.
func tail(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4096):])
}

// poll tries until it works, and fails the test with the last error otherwise.
func poll(t *testing.T, limit time.Duration, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s: %v", limit, what, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
