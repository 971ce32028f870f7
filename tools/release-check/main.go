// Command release-check tries a release before it is tagged. It packs the modules
// of a commit as the go command would, serves them from a folder as a module proxy,
// and uses them as somebody else would, without the workspace:
//
//   - A service on go-micro imports the client library. Compared with the same
//     service without it, go.mod keeps its go line and its versions and gains two
//     lines, and the binary grows by less than a megabyte.
//   - The service with the library also builds with the oldest Go that the library
//     promises.
//   - "go install" of the server works, and the program prints its version.
//
// The version is the one that go.mod requires of our own modules:
//
//	release-check
//	release-check -rev main -version v0.3.0
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	var c check
	flag.StringVar(&c.tree, "tree", ".", "the root `folder` of the repository")
	flag.StringVar(&c.rev, "rev", "HEAD", "the `revision` to check")
	flag.StringVar(&c.version, "version", "", "the `version` to give it (default: what go.mod requires of our modules)")
	flag.StringVar(&c.dir, "dir", "", "keep the proxy, the programs and the module cache in this `folder` (default: a temporary one)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := c.run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release-check:", err)
		os.Exit(1)
	}
}

// check is one run.
type check struct {
	tree, rev, version, dir string

	module string   // that holds the library
	env    []string // of the go command
}

func (c *check) run(ctx context.Context, out io.Writer) error {
	if c.dir == "" {
		// Not in the repository, where tests and linters would find the sources in it.
		dir, err := os.MkdirTemp("", "release-check-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		c.dir = dir
	}
	if err := c.prepare(ctx, out); err != nil {
		return err
	}
	return errors.Join(c.checkImporter(ctx, out), c.checkServer(ctx, out))
}

// prepare makes the proxy, and an environment for the go command that uses it.
func (c *check) prepare(ctx context.Context, out io.Writer) error {
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		return err
	}
	c.dir = dir
	// Modules of ours from an earlier run have the same version and other content.
	for _, old := range []string{"proxy", "source", "without", "with", "oldest", "bin", "modcache/github.com/microhq", "modcache/cache/download/github.com/microhq"} {
		if err := os.RemoveAll(filepath.Join(dir, old)); err != nil {
			return err
		}
	}
	source := filepath.Join(dir, "source")
	if err := extract(ctx, c.tree, c.rev, source); err != nil {
		return err
	}
	modules, err := findModules(source)
	if err != nil {
		return err
	}
	if c.version == "" {
		if c.version, err = ownVersion(modules); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%s of %s:\n", c.version, c.rev)
	c.module = ours
	for _, m := range modules {
		size, err := m.publish(filepath.Join(dir, "proxy"), c.version)
		if err != nil {
			return err
		}
		if m.path() == library {
			c.module = library
		}
		fmt.Fprintf(out, "  %-40s go %-8s %7d bytes packed\n", m.path(), m.file.Go.Version, size)
	}
	c.env, err = c.environment(ctx)
	return err
}

// environment serves our modules from the proxy, and others from the module cache
// of this machine or, if it does not have them, from where they come from.
func (c *check) environment(ctx context.Context) ([]string, error) {
	settings, err := output(ctx, c.tree, nil, "go", "env", "GOMODCACHE", "GOPROXY")
	if err != nil {
		return nil, err
	}
	cache, proxies, _ := strings.Cut(settings, "\n")
	return append(os.Environ(),
		"GOWORK=off",
		"GOPROXY=file://"+filepath.Join(c.dir, "proxy")+",file://"+filepath.Join(cache, "cache", "download")+","+proxies,
		"GONOSUMDB=github.com/microhq/*",
		"GOPRIVATE=", "GONOPROXY=",
		"GOMODCACHE="+filepath.Join(c.dir, "modcache"),
		"GOBIN="+filepath.Join(c.dir, "bin"),
		"GOFLAGS=-modcacherw", // so that the next run can remove them
		"GOTOOLCHAIN=local",
		"CGO_ENABLED=0",
	), nil
}

// checkServer installs the server as the documentation says.
func (c *check) checkServer(ctx context.Context, out io.Writer) error {
	if _, err := output(ctx, c.dir, c.env, "go", "install", ours+"@"+c.version); err != nil {
		return err
	}
	printed, err := output(ctx, c.dir, c.env, filepath.Join(c.dir, "bin", "monitor-srv"), "version")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "go install %s@%s: the program says that it is %s\n", ours, c.version, printed)
	if printed != c.version {
		return fmt.Errorf("the installed program says that it is %q, want %q", printed, c.version)
	}
	return nil
}

// output runs a command and returns what it prints, without the last newline.
func output(ctx context.Context, dir string, env []string, command string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", command, strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}
