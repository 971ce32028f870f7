package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// declares reports whether a Go file declares the function or method.
func declares(t *testing.T, file, name string) bool {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(parsed.Decls, func(d ast.Decl) bool {
		f, ok := d.(*ast.FuncDecl)
		return ok && f.Name.Name == name
	})
}

// Every file and folder that CONTRIBUTING.md names exists.
func TestFilesNamedForContributorsExist(t *testing.T) {
	named := regexp.MustCompile("`([a-z_]+(?:/[A-Za-z_.-]+)+|[a-z]+/)`").FindAllStringSubmatch(page(t, "CONTRIBUTING.md"), -1)
	if len(named) < 40 {
		t.Fatalf("%d files are named: is the pattern of this test right?", len(named))
	}
	for _, m := range named {
		switch root, _, _ := strings.Cut(m[1], "/"); root {
		case "bin", "testing", "testdata": // built, of the standard library, of any package
			continue
		}
		if _, err := os.Stat(filepath.Join(testkit.Root(t), m[1])); err != nil {
			t.Errorf("CONTRIBUTING.md names %s: %v", m[1], err)
		}
	}
}

// Every Go file that a page names with its folder exists.
func TestGoFilesNamedInTheDocumentsExist(t *testing.T) {
	for file, text := range documents(t) {
		for _, m := range regexp.MustCompile("`([a-z_]+(?:/[a-z_]+)*/[a-z_]+\\.go)`").FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(testkit.Root(t), m[1])); err != nil {
				t.Errorf("%s names %s: %v", file, m[1], err)
			}
		}
	}
}

// Each way through the house names files with the functions that they declare, and no
// file twice.
func TestWalkThroughTheHouseIsThatOfTheCode(t *testing.T) {
	_, walk, _ := strings.Cut(page(t, "CONTRIBUTING.md"), "\n## A walk through the house\n")
	walk, _, _ = strings.Cut(walk, "\n## ")
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([^`]+)` \\|")
	ways := strings.Split(walk, "\n| file | function |")[1:]
	if len(ways) != 4 {
		t.Fatalf("%d ways, want those of an event, a probe, a notification and a question", len(ways))
	}
	for _, way := range ways {
		visited := make(map[string]bool)
		for _, m := range row.FindAllStringSubmatch(way, -1) {
			if visited[m[1]] {
				t.Errorf("%s is visited twice", m[1])
			}
			visited[m[1]] = true
			if !declares(t, filepath.Join(testkit.Root(t), m[1]), m[2]) {
				t.Errorf("%s declares no function %s", m[1], m[2])
			}
		}
		if len(visited) < 5 {
			t.Errorf("a way of %d files: is the pattern of this test right?", len(visited))
		}
	}
	inline := regexp.MustCompile("`(\\w+)` of `([a-z/_]+\\.go)`").FindAllStringSubmatch(walk, -1)
	if len(inline) < 5 {
		t.Errorf("%d functions are named in sentences", len(inline))
	}
	for _, m := range inline {
		if !declares(t, filepath.Join(testkit.Root(t), m[2]), m[1]) {
			t.Errorf("%s declares no function %s", m[2], m[1])
		}
	}
}

// The layout has a line for each folder of the root, and no other.
func TestLayoutHasEachFolderOfTheRoot(t *testing.T) {
	_, layout, _ := strings.Cut(page(t, "CONTRIBUTING.md"), "\n## Layout\n")
	layout, _, _ = strings.Cut(layout, "\n## ")
	var named []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z]+)/ `).FindAllStringSubmatch(layout, -1) {
		named = append(named, m[1])
	}
	entries, err := os.ReadDir(testkit.Root(t))
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, e := range entries {
		if name := e.Name(); e.IsDir() && !strings.HasPrefix(name, ".") && name != "bin" {
			there = append(there, name)
		}
	}
	slices.Sort(named)
	if !slices.Equal(named, there) {
		t.Errorf("the layout has\n%q\nthe root has\n%q", named, there)
	}
}
