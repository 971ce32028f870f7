package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// plant writes files into a new folder.
func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tree is a repository of the shape of ours, with a file that is not committed.
func tree(t *testing.T) string {
	t.Helper()
	dir := plant(t, map[string]string{
		"LICENSE":           "free",
		"main.go":           "package main\n\nfunc main() {}\n",
		"go.mod":            "module " + ours + "\n\ngo 1.23.0\n\nrequire " + library + " v0.3.0\n",
		"health/go.mod":     "module " + library + "\n\ngo 1.23.0\n\nrequire " + messages + " v0.3.0\n",
		"health/health.go":  "package health\n",
		"proto/go.mod":      "module " + messages + "\n\ngo 1.23.0\n",
		"proto/proto.go":    "package proto\n",
		"tools/own/go.mod":  "module " + ours + "/tools/own\n\ngo 1.23.0\n",
		"tools/own/main.go": "package main\n",
	})
	for _, args := range [][]string{
		{"init", "-q"}, {"add", "."}, {"-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-q", "-m", "all"},
	} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "health", "late.go"), []byte("package health\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestProxyServesWhatIsCommitted(t *testing.T) {
	c := check{tree: tree(t), rev: "HEAD", dir: t.TempDir()}
	var out strings.Builder
	if err := c.prepare(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if c.version != "v0.3.0" || c.module != library {
		t.Errorf("version %s, library in %s; want v0.3.0 and %s", c.version, c.module, library)
	}
	env := append(c.env, "GOPROXY=file://"+filepath.Join(c.dir, "proxy"))
	for _, path := range []string{ours, library, messages} {
		dir, err := output(t.Context(), c.dir, env, "go", "mod", "download", "-json", path+"@v0.3.0")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(dir, `"Version": "v0.3.0"`) {
			t.Errorf("go mod download of %s answers %s", path, dir)
		}
	}
	if _, err := output(t.Context(), c.dir, env, "go", "mod", "download", ours+"/tools/own@v0.3.0"); err == nil {
		t.Error("the proxy has a module of the tools")
	}
	files := func(path string) (names []string) {
		entries, err := os.ReadDir(filepath.Join(c.dir, "modcache", path+"@v0.3.0"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	if got, want := files(ours), []string{"LICENSE", "go.mod", "main.go"}; !slices.Equal(got, want) {
		t.Errorf("the module of the server has %q, want %q", got, want)
	}
	if got, want := files(library), []string{"LICENSE", "go.mod", "health.go"}; !slices.Equal(got, want) {
		t.Errorf("the module of the library has %q, want %q", got, want)
	}
}

func TestModulesThatCannotBeReleasedAreRefused(t *testing.T) {
	const server = "module " + ours + "\n\nrequire (\n\t" + library + " v0.3.0\n\t" + messages + " v0.4.0\n)\n"
	all, err := findModules(plant(t, map[string]string{"go.mod": server}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ownVersion(all); err == nil || !strings.Contains(err.Error(), "a release has one version") {
		t.Errorf("two versions: %v", err)
	}
	replaced := plant(t, map[string]string{"LICENSE": "", "go.mod": "module " + ours + "\n\nreplace " + library + " => ./health\n"})
	if all, err = findModules(replaced); err != nil {
		t.Fatal(err)
	}
	if _, err := all[0].publish(t.TempDir(), "v0.3.0"); err == nil || !strings.Contains(err.Error(), "has a replace") {
		t.Errorf("a replace: %v", err)
	}
	if _, err := ownVersion(all); err == nil {
		t.Error("no version is accepted")
	}
}

func TestWhatTheLibraryChangesIsReported(t *testing.T) {
	parse := func(text string) *built {
		file, err := modfile.Parse("go.mod", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return &built{file: file, versions: requirements(file)}
	}
	const base = "module m\n\ngo 1.23.0\n\nrequire a.org/a v1.0.0\n"
	const own = "require " + library + " v0.3.0\nrequire " + messages + " v0.3.0\n"
	before := parse(base)
	if err := compare(before, parse(base+own), "v0.3.0"); err != nil {
		t.Errorf("our own lines are reported: %v", err)
	}
	for text, want := range map[string]string{
		strings.Replace(base, "1.23.0", "1.26.7", 1) + own: "the go line from 1.23.0 to 1.26.7",
		strings.Replace(base, "v1.0.0", "v1.1.0", 1) + own: `go.mod has a.org/a "v1.1.0", want "v1.0.0"`,
		base + own + "require b.org/b v1.0.0\n":            `the build has b.org/b "v1.0.0", want ""`,
		base:                                               `go.mod has ` + library + ` "", want "v0.3.0"`,
	} {
		if err := compare(before, parse(text), "v0.3.0"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want it to say %q", err, want)
		}
	}
	if !maps.Equal(before.versions, requirements(parse(base).file)) {
		t.Error("compare changed its argument")
	}
}
