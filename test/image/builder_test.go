//go:build image

package image

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Where things are in the builder's image.
const (
	builderRoot  = "/usr/local/go"
	builderProxy = "/proxy" // the modules, as a module proxy in files
)

// importBuilder makes the builder's image, which elsewhere is pulled: the local Go
// toolchain, a shell, CA certificates, and the modules that go.mod names. With it
// the build needs no network at all.
func importBuilder(t *testing.T, e *engine, module, name string) {
	t.Helper()
	goroot := goEnv(t, module, "GOROOT")
	proxy := downloadModules(t, module)
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}

	reader, writer := io.Pipe()
	go func() {
		archive := tar.NewWriter(writer)
		err := writeBuilder(archive, goroot, proxy, busybox)
		_ = writer.CloseWithError(err)
	}()
	_, err = e.try(t.Context(), reader, "import",
		"--change", "ENV PATH="+builderRoot+"/bin:/bin",
		"--change", "ENV GOPROXY=file://"+builderProxy,
		"--change", "ENV GOSUMDB=off", // go.sum holds every checksum already
		"--change", "ENV GOTOOLCHAIN=local",
		"-", name)
	_ = reader.CloseWithError(err)
	if err != nil {
		t.Fatal(err)
	}
}

// writeBuilder writes the builder's file system.
func writeBuilder(archive *tar.Writer, goroot, proxy, busybox string) error {
	const certificates = "/etc/ssl/certs/ca-certificates.crt"
	steps := []func() error{
		func() error { return addTree(archive, goroot, builderRoot, "bin", "pkg", "src", "go.env", "VERSION") },
		func() error { return addTree(archive, proxy, builderProxy, ".") },
		func() error { return addFile(archive, busybox, "/bin/busybox") },
		func() error { return addFile(archive, certificates, certificates) },
		func() error {
			return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "/bin/sh", Linkname: "busybox", Mode: 0o777})
		},
		func() error {
			return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "/tmp", Mode: 0o1777})
		},
		archive.Close,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// downloadModules fills a module cache of its own with what go.mod names and
// returns the part of it that can serve as a proxy. It takes the modules from the
// cache of this machine, which it completes first.
func downloadModules(t *testing.T, module string) string {
	t.Helper()
	run(t, module, nil, "go", "mod", "download")
	cache := t.TempDir()
	env := append(os.Environ(),
		"GOMODCACHE="+cache,
		"GOPROXY=file://"+filepath.Join(goEnv(t, module, "GOMODCACHE"), "cache", "download"),
		"GOSUMDB=off",
		"GOFLAGS=-modcacherw", // so that the test can remove it
	)
	run(t, module, env, "go", "mod", "download")
	return filepath.Join(cache, "cache", "download")
}

// addTree adds the named entries of a folder, with what is below them, under dest,
// except what no build needs: tests, their data, and the source of Go's commands.
func addTree(archive *tar.Writer, root, dest string, names ...string) error {
	for _, name := range names {
		err := filepath.WalkDir(filepath.Join(root, name), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			relative, err := filepath.Rel(root, path)
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || relative == "src/cmd"):
				return fs.SkipDir
			case !d.Type().IsRegular() || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".lock"):
				return nil
			}
			return addFile(archive, path, filepath.Join(dest, relative))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func addFile(archive *tar.Writer, path, dest string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: dest, Size: info.Size(), Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(),
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.Copy(archive, file); err != nil {
		return fmt.Errorf("add %s: %w", path, err)
	}
	return nil
}

func goEnv(t *testing.T, module, name string) string {
	t.Helper()
	return run(t, module, nil, "go", "env", name)
}

// run runs a command in a folder and returns its output without the last newline.
func run(t *testing.T, dir string, env []string, command string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command, args...)
	cmd.Dir, cmd.Env = dir, env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", command, strings.Join(args, " "), err, out, &stderr)
	}
	return strings.TrimSpace(string(out))
}
