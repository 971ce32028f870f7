package safefile_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// openers are the functions that open, read or list a file or directory by its path,
// by package.
func openers() map[string]string {
	const files = " Open OpenFile ReadFile ReadDir Create DirFS OpenRoot OpenInRoot WriteFile CopyFS "
	return map[string]string{
		"os":                         files,
		"io/ioutil":                  files,
		"io/fs":                      " ReadFile ReadDir Glob WalkDir ",
		"path/filepath":              " Walk WalkDir Glob ",
		"syscall":                    " Open Openat Creat ",
		"golang.org/x/sys/unix":      " Open Openat Openat2 Creat ",
		"crypto/tls":                 " LoadX509KeyPair ",
		"net/http":                   " Dir FileServer FileServerFS ServeFile ServeFileFS ListenAndServeTLS ServeTLS ",
		"text/template":              " ParseFiles ParseGlob ParseFS ",
		"html/template":              " ParseFiles ParseGlob ParseFS ",
		"github.com/BurntSushi/toml": " DecodeFile DecodeFS ",
	}
}

// exceptions are the files that open others themselves, with the reason.
func exceptions() map[string]string {
	return map[string]string{
		"cli/running.go":                    "reads /proc, which the kernel writes",
		"command/procfs_linux.go":           "reads /proc, which the kernel writes",
		"command/guardian_process_linux.go": "writes to /proc/self",
		"command/family_linux.go":           "reads /proc, which the kernel writes",
		"command/program_linux.go":          "lists /proc/self/fd",
		"guard/registry/consul_tls.go":      "walks the directory CONSUL_CAPATH and reads its files by safefile",
		"safefile/read.go":                  "is the way to open files",
		"safefile/dir.go":                   "is the way to open directories",
		"internal/sample/":                  "is a service as our users have them",
		"internal/testkit/":                 "is a tool for tests",
		"tools/":                            "are tools of developers",
		"test/":                             "is tests",
		"examples/":                         "are services as our users have them",
		"health/":                           "is a module of its own",
		"proto/":                            "is a module of its own",
	}
}

// TestFilesAreOpenedHereOnly looks for calls of openers in the code of the service.
// Faults: S2.
func TestFilesAreOpenedHereOnly(t *testing.T) {
	root, used := testkit.Root(t), make(map[string]bool)
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		if d.IsDir() && (name == "bin" || strings.HasPrefix(d.Name(), ".") && name != ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		for _, call := range openings(t, file) {
			excepted := false
			for e := range exceptions() {
				if name == e || strings.HasSuffix(e, "/") && strings.HasPrefix(name, e) {
					used[e], excepted = true, true
				}
			}
			if !excepted {
				t.Errorf("%s:%s: open it by package safefile, or give the reason in exceptions", name, call)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for e, reason := range exceptions() {
		if !used[e] && !strings.HasSuffix(e, "/") {
			t.Errorf("%s opens nothing itself: remove its exception, %q", e, reason)
		}
	}
}

// openings returns the lines and names of openers in a file.
func openings(t *testing.T, file string) []string {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	packages := make(map[string]string) // by the name in this file
	for _, spec := range parsed.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		packages[name] = imported
	}
	var found []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := selector.X.(*ast.Ident)
		if ok && strings.Contains(openers()[packages[x.Name]], " "+selector.Sel.Name+" ") {
			found = append(found, strconv.Itoa(set.Position(n.Pos()).Line)+": "+x.Name+"."+selector.Sel.Name)
		}
		return true
	})
	return found
}
