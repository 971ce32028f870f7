package main

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// part is a share of the fault programme: tests of one package.
type part struct {
	name  string
	pkg   string // the folder
	tests []string
}

// find returns the parts of a tree. Each package with fault tests has one, and a
// second one whose name ends in "-long" for the tests that have a long variant.
func find(tree string) ([]part, error) {
	packages := map[string][]*ast.File{}
	files := token.NewFileSet()
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != tree && leftOut(d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(tree, filepath.Dir(path))
		if err != nil {
			return err
		}
		packages[pkg] = append(packages[pkg], f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var all []part
	for _, pkg := range slices.Sorted(maps.Keys(packages)) {
		quick, long := faultTests(packages[pkg])
		name := cmp.Or(strings.TrimPrefix(pkg, "."), "root")
		for _, p := range []part{{name, pkg, quick}, {name + "-long", pkg, long}} {
			if len(p.tests) > 0 {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

func leftOut(folder string) bool {
	return strings.HasPrefix(folder, ".") || strings.HasPrefix(folder, "_") || folder == "testdata" || folder == "bin" || folder == "tools"
}

// longVariable is what the long variants of tests ask the environment for.
const longVariable = "MONITOR_LONG"

// caseNumber is how a test names the fault case it proves, in its name or in its
// comment: T1 to T74.
var caseNumber = regexp.MustCompile(`(^Test|\b)T\d{1,2}([^0-9]|$)`)

// faultTests returns the tests of a package that name a fault case, and those that
// have a long variant, whatever they name.
func faultTests(files []*ast.File) (quick, long []string) {
	decls := map[string][]ast.Decl{}
	for _, f := range files {
		for _, d := range f.Decls {
			for _, name := range declared(d) {
				decls[name] = append(decls[name], d)
			}
		}
	}
	reach := reaching(decls)
	for _, name := range slices.Sorted(maps.Keys(decls)) {
		f, ok := decls[name][0].(*ast.FuncDecl)
		switch {
		case !ok || f.Recv != nil || !strings.HasPrefix(name, "Test") || name == "TestMain":
		case reach[name]:
			long = append(long, name)
		case caseNumber.MatchString(name) || caseNumber.MatchString(f.Doc.Text()):
			quick = append(quick, name)
		}
	}
	return quick, long
}

func declared(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return []string{d.Name.Name}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if v, ok := spec.(*ast.ValueSpec); ok {
				for _, name := range v.Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

// reaching returns the declarations that mention the variable, or a function of testkit
// that reads it, or another one that does.
func reaching(decls map[string][]ast.Decl) map[string]bool {
	reach := map[string]bool{"Nightly": true, "Scale": true}
	for grown := true; grown; {
		grown = false
		for name, all := range decls {
			if !reach[name] && slices.ContainsFunc(all, func(d ast.Decl) bool { return mentions(d, reach) }) {
				reach[name], grown = true, true
			}
		}
	}
	return reach
}

func mentions(d ast.Decl, reach map[string]bool) (found bool) {
	ast.Inspect(d, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			found = found || n.Value == `"`+longVariable+`"`
		case *ast.Ident:
			found = found || reach[n.Name]
		}
		return !found
	})
	return found
}
