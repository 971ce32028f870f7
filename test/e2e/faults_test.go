package e2e

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// A test names the faults that it holds in the last line of its comment:
//
//	// Faults: T36, G5.
//
// docs/faults.md lists each fault with these tests. UPDATE_FAULTS=1 has
// TestEachFaultIsListedWithItsTests write their names into the page.

// faultsPage lists the faults; its path is relative to the root of the project.
const faultsPage = "docs/faults.md"

// wholeFamilies are listed without a gap.
var wholeFamilies = []string{"T", "I", "G", "A", "Trap"}

// unusedFaults are numbers that no fault has.
var unusedFaults = []string{"T19", "T26", "T27", "T28", "T29", "T55", "T56", "T57", "T58", "T59"}

// faultCode matches the code of a fault, such as T36, C01 or Trap2.
const faultCode = `(?:[TGAISUMPC]|Trap)[0-9]+`

var (
	faultsLine  = regexp.MustCompile(`^// Faults: (` + faultCode + `(?:, ` + faultCode + `)*)\.$`)
	faultRow    = regexp.MustCompile(`^\| (` + faultCode + `) \| (.+?) \| (.+) \|$`)
	testName    = regexp.MustCompile(`^(Test|Fuzz|Benchmark|Example)([^a-z]|$)`)
	codeInName  = regexp.MustCompile(`(?:^(?:Test|Fuzz|Benchmark|Example)_?|[a-z_])` + faultCode + `(?:[A-Z_]|$)`)
	codeInFile  = regexp.MustCompile(`(?:^|_)(?:[tgaisumpc]|trap)[0-9]+(?:_|$)`)
	codeInText  = regexp.MustCompile(`^` + faultCode + `[ :/_]`)
	otherAnswer = regexp.MustCompile(`^(?:not built|not yet held|by design): \S`)
	quoted      = regexp.MustCompile("`([^`]+)`")
)

// A faultTest is a test function and what its comment says that it holds.
type faultTest struct {
	name, place string
	faults      []string
}

// A listedFault is a row of the page.
type listedFault struct {
	line           int // of the page
	code, fault    string
	answer         string // the whole last column
	tests          []string
	elsewhere      []string // files that hold it
	saysWhyNotHeld bool
}

func TestEachFaultIsListedWithItsTests(t *testing.T) {
	root := projectRoot(t)
	tests, problems := testsOfProject(t, root)
	page := filepath.Join(root, filepath.FromSlash(faultsPage))
	text := testkit.ReadFile(t, page)
	if os.Getenv("UPDATE_FAULTS") != "" {
		text = []byte(withTestNames(string(text), tests))
		if err := os.WriteFile(page, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	there := func(path string) bool {
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(path)))
		return err == nil
	}
	problems = append(problems, compareFaults(tests, listedFaults(string(text)), there)...)
	for _, p := range problems {
		t.Error(p)
	}
}

func TestCheckOfTheFaultsReportsEachMistake(t *testing.T) {
	const good = "| T1 | a | `TestOne` |\n| T2 | b | not built: later |\n| T3 | c | `tools/x.sh` |\n"
	one := faultTest{"TestOne", "a_test.go:1", []string{"T1"}}
	for name, c := range map[string]struct {
		tests []faultTest
		page  string
		want  string // part of the only problem, or empty
	}{
		"nothing wrong":         {[]faultTest{one}, good, ""},
		"fault without a row":   {[]faultTest{one, {"TestTwo", "a_test.go:2", []string{"G1"}}}, good, "TestTwo carries G1, which docs/faults.md does not list"},
		"row without its test":  {[]faultTest{one, {"TestTwo", "a_test.go:2", []string{"T1"}}}, good, "T1 does not name TestTwo"},
		"test without fault":    {[]faultTest{one, {"TestTwo", "a_test.go:2", nil}}, strings.Replace(good, "One`", "One`, `TestTwo`", 1), "whose comment does not carry T1"},
		"test that is not":      {[]faultTest{one}, strings.Replace(good, "One`", "One`, `TestTwo`", 1), "names TestTwo, which is not there"},
		"file that is not":      {[]faultTest{one}, strings.Replace(good, "x.sh", "y.sh", 1), "names tools/y.sh, which is not there"},
		"row without an answer": {[]faultTest{one}, strings.Replace(good, "not built: later", "later", 1), "T2 has no test"},
		"answer is out of date": {[]faultTest{one}, strings.Replace(good, "`TestOne`", "not yet held: later; `TestOne`", 1), "T1 is held"},
		"row missing":           {[]faultTest{one}, strings.Replace(good, "| T2", "| U1", 1), "T2 is not listed"},
		"row twice":             {[]faultTest{one}, good + "| T3 | d | `tools/x.sh` |\n", "T3 is listed twice"},
		"name twice":            {[]faultTest{one, {"TestOne", "b_test.go:1", nil}}, good, "there is another TestOne"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := compareFaults(c.tests, listedFaults(c.page), func(p string) bool { return p == "tools/x.sh" })
			if c.want == "" && len(problems) == 0 {
				return
			}
			if c.want == "" || len(problems) != 1 || !strings.Contains(problems[0], c.want) {
				t.Errorf("got %q, want %q", problems, c.want)
			}
		})
	}
	const source = "package p\n\n// Faults: T1.\n\n// Faults: T1 and T2.\nfunc TestT1Bad() { t.Run(\"T9 x\", nil) }\n\nfunc TestBadG2() {}\n\n// Faults: T1.\nfunc TestIPv6AtMost400MB() {}\n"
	tests, problems := testsOfFile(token.NewFileSet(), "x/t62_test.go", []byte(source))
	if len(tests) != 3 || !slices.Equal(tests[2].faults, []string{"T1"}) {
		t.Errorf("got %+v", tests)
	}
	if len(problems) != 6 {
		t.Errorf("got %d problems, want 6: %s", len(problems), strings.Join(problems, "\n"))
	}
	if got := withTestNames("| T1 | a | not yet held: x |\n| T2 | b | `tools/x.sh`; `TestOld` |\n", []faultTest{one}); got != "| T1 | a | `TestOne` |\n| T2 | b | `tools/x.sh` |\n" {
		t.Errorf("the page became %q", got)
	}
}

// projectRoot is the nearest directory above with a go.mod.
func projectRoot(t *testing.T) string {
	for dir := "."; len(dir) < 30; dir = filepath.Join(dir, "..") {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("no go.mod in any directory above")
	return ""
}

// testsOfProject reads all test files, those of other modules and build tags too.
func testsOfProject(t *testing.T, root string) (tests []faultTest, problems []string) {
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != root && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"bin", "testdata"}, entry.Name())) {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		found, wrong := testsOfFile(set, filepath.ToSlash(name), text)
		tests, problems = append(tests, found...), append(problems, wrong...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests, problems
}

// testsOfFile returns the tests of a file, and what is wrong with names and
// comments.
func testsOfFile(set *token.FileSet, path string, text []byte) (tests []faultTest, problems []string) {
	report := func(at token.Pos, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s:%d: ", path, set.Position(at).Line)+fmt.Sprintf(format, args...))
	}
	file, err := parser.ParseFile(set, path, text, parser.ParseComments)
	if err != nil {
		return nil, []string{err.Error()}
	}
	base := strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], "_test.go")
	if codeInFile.MatchString(base) {
		report(file.Package, "the name of the file holds the code of a fault: say what is tested")
	}
	taken := map[*ast.Comment]bool{}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if codeInName.MatchString(f.Name.Name) {
			report(f.Pos(), "%s holds the code of a fault: say what holds, and put the code into the comment", f.Name.Name)
		}
		if f.Recv != nil || !testName.MatchString(f.Name.Name) {
			continue
		}
		test := faultTest{name: f.Name.Name, place: fmt.Sprintf("%s:%d", path, set.Position(f.Pos()).Line)}
		if f.Doc != nil {
			for _, c := range f.Doc.List {
				if m := faultsLine.FindStringSubmatch(c.Text); m != nil {
					taken[c] = true
					test.faults = append(test.faults, strings.Split(m[1], ", ")...)
				}
			}
		}
		tests = append(tests, test)
	}
	for _, group := range file.Comments {
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "// Faults:") && !taken[c] {
				report(c.Pos(), "%q must have the form \"// Faults: T36, G5.\" and stand in the comment of a test", c.Text)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		name, literal := call.Args[0].(*ast.BasicLit)
		if !ok || method.Sel.Name != "Run" || !literal || name.Kind != token.STRING {
			return true
		}
		if s, err := strconv.Unquote(name.Value); err == nil && codeInText.MatchString(s+" ") {
			report(name.Pos(), "the name of the subtest %s begins with the code of a fault", name.Value)
		}
		return true
	})
	return tests, problems
}

// listedFaults reads the rows of the page.
func listedFaults(page string) (faults []listedFault) {
	for i, line := range strings.Split(page, "\n") {
		m := faultRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		f := listedFault{line: i + 1, code: m[1], fault: m[2], answer: m[3], saysWhyNotHeld: otherAnswer.MatchString(m[3])}
		for _, q := range quoted.FindAllStringSubmatch(m[3], -1) {
			if testName.MatchString(q[1]) {
				f.tests = append(f.tests, q[1])
			} else {
				f.elsewhere = append(f.elsewhere, q[1])
			}
		}
		faults = append(faults, f)
	}
	return faults
}

// compareFaults tells in what the page and the tests differ.
func compareFaults(tests []faultTest, faults []listedFault, there func(path string) bool) (problems []string) {
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	rows, last := map[string]listedFault{}, map[string]int{}
	for _, f := range faults {
		if earlier, ok := rows[f.code]; ok {
			report("%s:%d: %s is listed twice, first in line %d", faultsPage, f.line, f.code, earlier.line)
		}
		rows[f.code] = f
		if family, number := familyOf(f.code); slices.Contains(wholeFamilies, family) {
			last[family] = max(last[family], number)
		}
	}
	for family, n := range last {
		for i := 1; i < n; i++ {
			code := family + strconv.Itoa(i)
			if _, ok := rows[code]; !ok && !slices.Contains(unusedFaults, code) {
				report("%s: %s is not listed, though later ones are", faultsPage, code)
			}
		}
	}
	byName := map[string]faultTest{}
	for _, test := range tests {
		if other, ok := byName[test.name]; ok && len(other.faults)+len(test.faults) > 0 {
			report("%s: there is another %s in %s: a test that holds a fault needs a name of its own", test.place, test.name, other.place)
		}
		if _, ok := byName[test.name]; !ok || len(test.faults) > 0 {
			byName[test.name] = test
		}
		for _, code := range test.faults {
			row, ok := rows[code]
			switch {
			case !ok:
				report("%s: %s carries %s, which %s does not list; its row is | %s | what the fault is | `%s` |",
					test.place, test.name, code, faultsPage, code, test.name)
			case !slices.Contains(row.tests, test.name):
				report("%s:%d: %s does not name %s, which carries it in %s (UPDATE_FAULTS=1 writes the names)",
					faultsPage, row.line, code, test.name, test.place)
			}
		}
	}
	for _, f := range faults {
		for _, name := range f.tests {
			if test, ok := byName[name]; !ok {
				report("%s:%d: %s names %s, which is not there", faultsPage, f.line, f.code, name)
			} else if !slices.Contains(test.faults, f.code) {
				report("%s:%d: %s names %s, whose comment does not carry %s (%s)", faultsPage, f.line, f.code, name, f.code, test.place)
			}
		}
		for _, path := range f.elsewhere {
			if !there(path) {
				report("%s:%d: %s names %s, which is not there", faultsPage, f.line, f.code, path)
			}
		}
		held := len(f.tests)+len(f.elsewhere) > 0
		if !held && !f.saysWhyNotHeld {
			report("%s:%d: %s has no test; name one, a file, or begin with \"not built: \", \"not yet held: \" or \"by design: \" and the reason",
				faultsPage, f.line, f.code)
		}
		if len(f.tests) > 0 && strings.HasPrefix(f.answer, "not ") {
			report("%s:%d: %s is held by %s: leave out that it is not", faultsPage, f.line, f.code, f.tests[0])
		}
	}
	return problems
}

func familyOf(code string) (family string, number int) {
	digits := strings.IndexAny(code, "0123456789")
	number, _ = strconv.Atoi(code[digits:])
	return code[:digits], number
}

// withTestNames writes into each row of the page the tests that carry its code,
// and keeps what else the row says if no test does or if it names a file.
func withTestNames(page string, tests []faultTest) string {
	lines := strings.Split(page, "\n")
	for _, f := range listedFaults(page) {
		var answer, names []string
		for _, path := range f.elsewhere {
			answer = append(answer, "`"+path+"`")
		}
		for _, test := range tests {
			if slices.Contains(test.faults, f.code) {
				names = append(names, "`"+test.name+"`")
			}
		}
		if f.saysWhyNotHeld && len(names) == 0 {
			continue
		}
		slices.Sort(names)
		answer = append(answer, names...)
		lines[f.line-1] = fmt.Sprintf("| %s | %s | %s |", f.code, f.fault, strings.Join(answer, ", "))
	}
	return strings.Join(lines, "\n")
}
