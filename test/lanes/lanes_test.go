// Package lanes_test proves that no module and no package is left out of the lanes
// of the Makefile: "./..." stops at the go.mod of a nested module without a word.
package lanes_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// workspace is go.work as "go work edit -json" prints it.
type workspace struct {
	Go  string
	Use []struct{ DiskPath string }
	// Replace says where our own versions come from until they are released.
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
}

// module is go.mod as "go mod edit -json" prints it.
type module struct {
	Module  struct{ Path string }
	Go      string
	Require []struct{ Path, Version string }
}

func readWorkspace(t *testing.T) (w workspace) {
	t.Helper()
	decode(t, run(t, "go", "work", "edit", "-json"), &w)
	if len(w.Use) < 3 {
		t.Fatalf("go.work uses %v, want three modules", w.Use)
	}
	return w
}

func readModule(t *testing.T, dir string) (m module) {
	t.Helper()
	decode(t, run(t, "go", "mod", "edit", "-json", path.Join(dir, "go.mod")), &m)
	return m
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}

// run runs a command at the root of the repository.
func run(t *testing.T, command string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command, args...)
	cmd.Dir = root
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS") // of the make that runs this test
	})
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", command, args, err, &stderr)
	}
	return string(out)
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// files returns the paths of all files that match one of the patterns, without
// those that the go command ignores.
func files(t *testing.T, patterns ...string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != root && (name == "testdata" || name == "bin" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		for _, pattern := range patterns {
			if ok, err := path.Match(pattern, name); err != nil {
				return err
			} else if ok {
				relative, err := filepath.Rel(root, file)
				all = append(all, relative)
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func inTools(file string) bool { return strings.HasPrefix(file, "tools/") }

func TestEveryFolderWithGoIsAPackageOfTheWorkspace(t *testing.T) {
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for dir := range strings.Lines(run(t, "go", "list", "-tags", "image", "-f", "{{.Dir}}", "work")) {
		relative, err := filepath.Rel(top, strings.TrimSuffix(dir, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		listed[relative] = true
	}
	found := 0
	for _, file := range files(t, "*.go") {
		if inTools(file) {
			continue
		}
		found++
		if dir := filepath.Dir(file); !listed[dir] {
			t.Errorf("%s belongs to no package of \"go list work\", so that no lane tests or lints it", file)
		}
	}
	if found < 100 {
		t.Errorf("only %d files were found", found)
	}
}

func TestEveryModuleIsUsedOrATool(t *testing.T) {
	w := readWorkspace(t)
	var used []string
	for _, u := range w.Use {
		used = append(used, path.Clean(u.DiskPath))
	}
	for _, file := range files(t, "go.mod") {
		if dir := path.Dir(file); !inTools(file) && !slices.Contains(used, dir) {
			t.Errorf("the module in %s is not in go.work", dir)
		}
	}
}

func TestOurModulesHaveOneVersion(t *testing.T) {
	w := readWorkspace(t)
	versions := map[string][]string{} // by version, who says so
	replaced := map[string]string{}
	for _, r := range w.Replace {
		if strings.HasPrefix(r.New.Path, "./") {
			replaced[r.Old.Path] = r.Old.Version
			versions[r.Old.Version] = append(versions[r.Old.Version], "go.work")
		}
	}
	server := readModule(t, ".")
	if w.Go != server.Go {
		t.Errorf("go.work says go %s, go.mod go %s", w.Go, server.Go)
	}
	for _, u := range w.Use {
		for _, r := range readModule(t, u.DiskPath).Require {
			if strings.HasPrefix(r.Path, server.Module.Path+"/") {
				versions[r.Version] = append(versions[r.Version], path.Join(u.DiskPath, "go.mod"))
				if replaced[r.Path] != r.Version {
					t.Errorf("%s requires %s %s, which go.work does not replace by its folder", u.DiskPath, r.Path, r.Version)
				}
			}
		}
	}
	if len(versions) != 1 {
		t.Errorf("our modules have the versions %v, want one", versions)
	}
}

func TestEveryLaneCoversTheWorkspace(t *testing.T) {
	for _, target := range []string{"test", "test-short", "nightly"} {
		recipe := run(t, "make", "-n", target)
		if !slices.ContainsFunc(strings.Split(recipe, "\n"), func(line string) bool {
			return strings.Contains(line, "go test -race") && slices.Contains(strings.Fields(line), "work")
		}) {
			t.Errorf("make %s does not test the packages of the workspace:\n%s", target, recipe)
		}
	}
	lint := run(t, "make", "-n", "lint")
	if !strings.Contains(lint, "go vet work") {
		t.Errorf("make lint does not vet the packages of the workspace:\n%s", lint)
	}
	_, linted, _ := strings.Cut(lint, "golangci-lint run ")
	linted, _, _ = strings.Cut(linted, ";")
	docker, _, _ := strings.Cut(read(t, "Dockerfile"), "RUN go mod download")
	if !strings.Contains(docker, "COPY go.work go.work.sum go.mod go.sum ./\n") {
		t.Error("the Dockerfile does not copy go.work before it downloads the modules")
	}
	for _, u := range readWorkspace(t).Use {
		dir := path.Clean(u.DiskPath)
		pattern := "./" + path.Join(dir, "...")
		if !slices.Contains(strings.Fields(linted), pattern) {
			t.Errorf("make lint runs the linter on %q, want %s in it", linted, pattern)
		}
		if copied := "COPY " + dir + "/go.mod " + dir + "/go.sum " + dir + "/\n"; dir != "." && !strings.Contains(docker, copied) {
			t.Errorf("the Dockerfile does not %q before it downloads the modules", copied)
		}
	}
	if !strings.Contains(read(t, "tools/fuzz.sh"), "-list '^Fuzz' work") {
		t.Error("tools/fuzz.sh does not list the fuzz targets of the workspace")
	}
}

// Whatever lane is added later, such as one for coverage.
func TestNoLaneStopsAtANestedModule(t *testing.T) {
	for _, file := range append(files(t, "*.sh", "Makefile", "Dockerfile"), ".ci/run") {
		for line := range strings.Lines(read(t, file)) {
			if !strings.Contains(line, "./...") || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "LINTED ") {
				continue
			}
			all := strings.Contains(line, "./... ./health/... ./proto/...")
			if tool := strings.Contains(line, "cd tools/") && strings.Contains(line, "GOWORK=off"); !all && !tool {
				t.Errorf("%s: ./... leaves out the nested modules; the pattern for the go command is work: %s", file, line)
			}
		}
	}
}

func TestToolsOfOurOwnAreTestedAndLinted(t *testing.T) {
	makefile := read(t, "Makefile")
	list := func(name string) []string {
		_, value, _ := strings.Cut(makefile, "\n"+name+" := ")
		value, _, _ = strings.Cut(value, "\n")
		return strings.Fields(value)
	}
	tested := list("TESTED_TOOLS")
	linted := append(list("LINTED_TOOLS"), tested...)
	if len(tested) < 2 {
		t.Fatalf("TESTED_TOOLS is %q", tested)
	}
	for _, file := range files(t, "*.go") {
		if !inTools(file) {
			continue
		}
		tool := strings.Split(file, "/")[1]
		if !slices.Contains(linted, tool) {
			t.Errorf("%s: tools/%s is not in LINTED_TOOLS", file, tool)
		}
		if strings.HasSuffix(file, "_test.go") && !slices.Contains(tested, tool) {
			t.Errorf("%s: tools/%s is not in TESTED_TOOLS", file, tool)
		}
	}
	// A tool is a module outside go.work, so the go command refuses to build it there.
	for line := range strings.Lines(makefile) {
		if strings.Contains(line, "cd tools/") && !strings.Contains(line, "GOWORK=off") && !strings.Contains(line, "$(TOOLBUILD)") {
			t.Errorf("a tool is used without GOWORK=off: %s", line)
		}
	}
}
