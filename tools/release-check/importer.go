package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

const (
	library  = ours + "/health" // the package, and its module
	messages = ours + "/proto"
	// growthLimit is how much the library may add to the binary of a service.
	growthLimit = 1_000_000
	// oldest is the Go that the go line of the libraries promises, in its last
	// patch.
	oldest = "go1.23.12"
)

// The service that imports the library, with the versions that the library needs
// at least.
const goMod = `module example.org/greeter

go 1.23.0

require (
	go-micro.dev/v4 v4.11.0
	google.golang.org/protobuf v1.36.12
)
`

const without = `package main

import (
	"log"

	"go-micro.dev/v4"
	"google.golang.org/protobuf/types/known/emptypb"
)

func main() {
	service := micro.NewService(micro.Name((&emptypb.Empty{}).String() + "go.micro.srv.greeter"))
	service.Init()
	if err := service.Run(); err != nil {
		log.Fatal(err)
	}
}
`

const with = `package main

import (
	"context"
	"log"

	"go-micro.dev/v4"
	"google.golang.org/protobuf/types/known/emptypb"

	"` + library + `"
)

func ping(context.Context) (map[string]string, error) { return nil, nil }

func main() {
	service := micro.NewService(micro.Name((&emptypb.Empty{}).String() + "go.micro.srv.greeter"))
	reporter := health.NewReporter(service)
	reporter.Check("go.micro.healthcheck.db", "the database answers", ping)
	service.Init(micro.AfterStart(reporter.Start), micro.BeforeStop(reporter.Stop))
	if err := service.Run(); err != nil {
		log.Fatal(err)
	}
}
`

// built is a tidy service that was built.
type built struct {
	file     *modfile.File
	versions map[string]string // of the modules that the build uses
	size     int64             // of the binary, in bytes
}

// checkImporter compares a service with the library and without.
func (c *check) checkImporter(ctx context.Context, out io.Writer) error {
	before, err := c.build(ctx, "without", without, "")
	if err != nil {
		return err
	}
	after, err := c.build(ctx, "with", with, c.version)
	if err != nil {
		return err
	}
	growth := after.size - before.size
	fmt.Fprintf(out, "a service on go-micro, without the library and with it:\n"+
		"  go line %s, %s\n  requirements %d, %d\n  modules built in %d, %d\n  binary %d, %d bytes: %d more\n",
		before.file.Go.Version, after.file.Go.Version, len(before.file.Require), len(after.file.Require),
		len(before.versions), len(after.versions), before.size, after.size, growth)
	err = compare(before, after, c.version)
	if growth > growthLimit {
		err = errors.Join(err, fmt.Errorf("the library adds %d bytes to the binary, at most %d are allowed", growth, growthLimit))
	}
	if err != nil {
		return err
	}
	return c.buildWithOldest(ctx, out)
}

// build writes the service into a folder, tidies its go.mod and builds it. With a
// version, it requires the library.
func (c *check) build(ctx context.Context, name, code, version string) (*built, error) {
	dir := filepath.Join(c.dir, name)
	if err := c.write(dir, code, version); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"mod", "tidy"}, {"build", "-trimpath", "-o", "greeter", "."}} {
		if _, err := output(ctx, dir, c.env, "go", args...); err != nil {
			return nil, fmt.Errorf("in the service %s the library: %w", name, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	b := &built{versions: map[string]string{}}
	if b.file, err = modfile.Parse("go.mod", text, nil); err != nil {
		return nil, err
	}
	list, err := output(ctx, dir, c.env, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}", ".")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(list) {
		path, version, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		b.versions[path] = version
	}
	info, err := os.Stat(filepath.Join(dir, "greeter"))
	if err != nil {
		return nil, err
	}
	b.size = info.Size()
	return b, nil
}

// write writes the service into a folder. With a version, it requires the library.
func (c *check) write(dir, code, version string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	requirement := ""
	if version != "" {
		requirement = "\nrequire " + c.module + " " + version + "\n"
	}
	for file, text := range map[string]string{"go.mod": goMod + requirement, "main.go": code} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compare tells what the library changed beyond its own two lines.
func compare(before, after *built, version string) error {
	var errs []error
	if before.file.Go.Version != after.file.Go.Version {
		errs = append(errs, fmt.Errorf("the library changes the go line from %s to %s", before.file.Go.Version, after.file.Go.Version))
	}
	want := requirements(before.file)
	want[library], want[messages] = version, version
	errs = append(errs, differences("go.mod", want, requirements(after.file))...)
	want = maps.Clone(before.versions)
	want[library], want[messages] = version, version
	errs = append(errs, differences("the build", want, after.versions)...)
	return errors.Join(errs...)
}

func requirements(file *modfile.File) map[string]string {
	all := map[string]string{}
	for _, r := range file.Require {
		all[r.Mod.Path] = r.Mod.Version
	}
	return all
}

// differences lists the modules whose versions are not as wanted.
func differences(what string, want, got map[string]string) (errs []error) {
	both := maps.Clone(want)
	maps.Copy(both, got)
	for _, path := range slices.Sorted(maps.Keys(both)) {
		if want[path] != got[path] {
			errs = append(errs, fmt.Errorf("with the library, %s has %s %q, want %q", what, path, got[path], want[path]))
		}
	}
	return errs
}

// buildWithOldest builds the service with the oldest Go that is promised, if the
// go command can get it. It leaves out "go mod tidy", which looks for the tests of
// all dependencies and takes their newest modules, whatever Go those need.
func (c *check) buildWithOldest(ctx context.Context, out io.Writer) error {
	dir, env := filepath.Join(c.dir, "oldest"), append(slices.Clone(c.env), "GOTOOLCHAIN="+oldest)
	if err := c.write(dir, with, c.version); err != nil {
		return err
	}
	if _, err := output(ctx, dir, env, "go", "version"); err != nil {
		fmt.Fprintf(out, "NOT CHECKED: whether %s builds the library; it cannot be had here\n", oldest)
		return nil
	}
	if _, err := output(ctx, dir, env, "go", "build", "-mod=mod", "-trimpath", "-o", "greeter", "."); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s builds the service with the library\n", oldest)
	return nil
}
