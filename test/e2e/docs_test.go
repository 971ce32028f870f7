package e2e

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/microhq/monitor-srv/cli"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// documents returns the texts of README.md, CHANGELOG.md, CONTRIBUTING.md and all
// pages below docs, by their paths from the root.
func documents(t testing.TB) map[string]string {
	t.Helper()
	root := testkit.Root(t)
	pages := make(map[string]string)
	read := func(file string) {
		text := testkit.ReadFile(t, filepath.Join(root, file))
		pages[file] = string(text)
	}
	for _, file := range []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md"} {
		read(file)
	}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		file, err := filepath.Rel(root, path)
		read(file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// page returns one page by its path from the root.
func page(t testing.TB, file string) string {
	t.Helper()
	text, ok := documents(t)[file]
	if !ok {
		t.Fatalf("there is no page %s", file)
	}
	return text
}

// prose returns a page without its blocks of code.
func prose(text string) string {
	return regexp.MustCompile("(?ms)^ *```.*?^ *```$").ReplaceAllString(text, "")
}

// anchors returns the anchors of a page's headings, as code hosts make them.
func anchors(text string) map[string]bool {
	found := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^#+ +(.*)$`).FindAllStringSubmatch(prose(text), -1) {
		found[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])] = true
	}
	return found
}

var docLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// A long page is found through by its table of contents: links to its own
// headings before the first of them. A paragraph is short enough to be read at
// once, and the README fits on a few screens.
func TestPagesAreShortOrHaveATableOfContents(t *testing.T) {
	const (
		mostLines  = 400
		readmeMost = 150
		// A paragraph of five lines of 120 characters, without the targets of links.
		mostCharacters = 5 * 120
	)
	for file, text := range documents(t) {
		lines := strings.Count(text, "\n")
		if file == "README.md" && lines >= readmeMost {
			t.Errorf("%s has %d lines, want less than %d", file, lines, readmeMost)
		}
		start, _, _ := strings.Cut(prose(text), "\n## ")
		if lines > mostLines && strings.Count(start, "](#") < 5 {
			t.Errorf("%s has %d lines and no table of contents", file, lines)
		}
		switch file {
		case "CHANGELOG.md", "docs/benchmarks.md", "docs/faults.md":
			continue // lists, two of them generated
		}
		for paragraph := range strings.SplitSeq(prose(text), "\n\n") {
			paragraph = strings.TrimSpace(paragraph)
			if paragraph == "" || strings.ContainsAny(paragraph[:1], "|#-*1") {
				continue // a table, a heading or a list
			}
			if n := len([]rune(docLink.ReplaceAllString(paragraph, "]"))); n > mostCharacters {
				t.Errorf("%s: a paragraph of %d characters, want at most %d: %.60q", file, n, mostCharacters, paragraph)
			}
		}
	}
}

// Every relative link leads to a file, and its anchor to a heading there.
func TestLinksOfTheDocumentsResolve(t *testing.T) {
	root, pages := testkit.Root(t), documents(t)
	headings := make(map[string]map[string]bool)
	for file, text := range pages {
		headings[file] = anchors(text)
	}
	for file, text := range pages {
		for _, m := range docLink.FindAllStringSubmatch(prose(text), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			to := file
			if target != "" {
				to = filepath.Join(filepath.Dir(file), target)
				if _, err := os.Stat(filepath.Join(root, to)); errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s links to %s, which is not there", file, m[1])
					continue
				}
			}
			if anchor != "" && !headings[to][anchor] {
				t.Errorf("%s links to %s: %s has no such heading", file, m[1], to)
			}
		}
	}
}

// Every page can be reached from the map.
func TestEachPageIsInTheMap(t *testing.T) {
	root := "docs/README.md"
	pages := documents(t)
	reached := map[string]bool{root: true}
	for todo := []string{root}; len(todo) > 0; todo = todo[1:] {
		for _, m := range docLink.FindAllStringSubmatch(prose(pages[todo[0]]), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			to := filepath.Join(filepath.Dir(todo[0]), target)
			// One step from the map; decisions have a list of their own.
			follow := todo[0] == root || filepath.Dir(to) == "docs/decisions"
			if _, ok := pages[to]; ok && follow && !reached[to] {
				reached[to] = true
				todo = append(todo, to)
			}
		}
	}
	for file := range pages {
		if !reached[file] {
			t.Errorf("docs/README.md does not lead to %s", file)
		}
	}
}

// rows returns the first cells of the tables' rows, as they stand, with how often
// each is there.
func rows(text string) map[string]int {
	found := make(map[string]int)
	for _, m := range regexp.MustCompile(`(?m)^\| ([^|]*?) \|`).FindAllStringSubmatch(prose(text), -1) {
		found[m[1]]++
	}
	return found
}

// protoFile is what the reference has to name of a .proto file.
type protoFile struct {
	methods []string
	// fields of each message, in order, as "| `name` | number |".
	fields map[string][]string
}

func readProto(t *testing.T, file string) protoFile {
	t.Helper()
	text := testkit.ReadFile(t, filepath.Join(testkit.Root(t), file))
	p := protoFile{fields: make(map[string][]string)}
	method := regexp.MustCompile(`^\s*rpc (\w+)\(`)
	message := regexp.MustCompile(`^message (\w+) \{`)
	field := regexp.MustCompile(`^  \w[\w.<>, ]* (\w+) = (\d+);`)
	now := ""
	for line := range strings.Lines(string(text)) {
		if m := method.FindStringSubmatch(line); m != nil {
			p.methods = append(p.methods, m[1])
		} else if m := message.FindStringSubmatch(line); m != nil {
			now = m[1]
		} else if m := field.FindStringSubmatch(line); m != nil {
			p.fields[now] = append(p.fields[now], "| `"+m[1]+"` | "+m[2]+" |")
		}
	}
	if len(p.fields) < 10 {
		t.Fatalf("%s: %d messages", file, len(p.fields))
	}
	return p
}

// The reference of RPC has one row for each method, and for each message one table
// with its fields and their numbers.
func TestReferenceOfRPCIsThatOfTheProtos(t *testing.T) {
	text := page(t, "docs/reference/rpc.md")
	monitor := readProto(t, "proto/monitor/monitor.proto")
	if len(monitor.methods) < 10 {
		t.Fatalf("%d methods", len(monitor.methods))
	}
	found := rows(text)
	for _, m := range monitor.methods {
		if n := found["`Monitor."+m+"`"]; n != 1 {
			t.Errorf("the method %s has %d rows", m, n)
		}
	}
	want := maps.Clone(monitor.fields)
	maps.Copy(want, readProto(t, "proto/health/health.proto").fields)
	tables := make(map[string][]string)
	now := ""
	for line := range strings.Lines(text) {
		if m := regexp.MustCompile("^\\| field of `(\\w+)` \\|").FindStringSubmatch(line); m != nil {
			now = m[1]
			if tables[now] != nil {
				t.Errorf("%s has two tables", now)
			}
		} else if !strings.HasPrefix(line, "|") {
			now = ""
		} else if m := regexp.MustCompile("^\\| `\\w+` \\| \\d+ \\|").FindString(line); m != "" && now != "" {
			tables[now] = append(tables[now], m)
		}
	}
	for message, fields := range want {
		if got := tables[message]; !slices.Equal(got, fields) {
			t.Errorf("%s: the page has\n%s\nthe proto\n%s", message, strings.Join(got, "\n"), strings.Join(fields, "\n"))
		}
	}
	for message := range tables {
		if want[message] == nil {
			t.Errorf("the page describes %s, which is not there", message)
		}
	}
}

// routesOfCode reads the routes of the HTTP port from the code that sets them.
func routesOfCode(t *testing.T) []string {
	t.Helper()
	var code strings.Builder
	err := filepath.WalkDir(filepath.Join(testkit.Root(t), "web"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		code.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var routes []string
	for _, m := range regexp.MustCompile(`(?s)route\("([^"]+)", methods\{(.*?)\}\)`).FindAllStringSubmatch(code.String(), -1) {
		for _, method := range regexp.MustCompile(`http\.Method(\w+):`).FindAllStringSubmatch(m[2], -1) {
			routes = append(routes, strings.ToUpper(method[1])+" "+m[1])
		}
	}
	if len(routes) < 12 {
		t.Fatalf("the code has only the routes %q: is the pattern of this test right?", routes)
	}
	return routes
}

// The reference of REST has one row for each route.
func TestReferenceOfRESTIsThatOfTheRoutes(t *testing.T) {
	found := rows(page(t, "docs/reference/rest.md"))
	routes := routesOfCode(t)
	for _, r := range routes {
		if n := found["`"+r+"`"]; n != 1 {
			t.Errorf("the route %s has %d rows", r, n)
		}
	}
	for cell := range found {
		if m := regexp.MustCompile("^`([A-Z]+ /.*)`$").FindStringSubmatch(cell); m != nil && !slices.Contains(routes, m[1]) {
			t.Errorf("the page describes %s, which is not there", m[1])
		}
	}
}

// helpOf returns what "monitor-srv help" prints, for all or for one command.
func helpOf(t *testing.T, command ...string) string {
	t.Helper()
	var out strings.Builder
	code := cli.Run(t.Context(), append([]string{"monitor-srv", "help"}, command...), cli.Process{Stdout: &out, Stderr: &out})
	if code != cli.ExitOK {
		t.Fatalf("help %v: exit %d, %s", command, code, &out)
	}
	return out.String()
}

// commandsOf reads the commands from the help.
func commandsOf(t *testing.T) []string {
	t.Helper()
	_, list, _ := strings.Cut(helpOf(t), "\nExamples:\n")
	_, list, _ = strings.Cut(list, "\n\n")
	list, _, _ = strings.Cut(list, "\nFlags:\n")
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^  (\w+) `).FindAllStringSubmatch(list, -1) {
		names = append(names, m[1])
	}
	if len(names) < 15 {
		t.Fatalf("the help has the commands %v:\n%s", names, helpOf(t))
	}
	return names
}

// flagsOf reads the flags of all commands, with the variable of each, from their helps.
func flagsOf(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	flag := regexp.MustCompile(`(?m)^ +(?:-\w, )?--(\w+)( .*)$`)
	variable := regexp.MustCompile(`\[\$(\w+)\]`)
	for _, help := range append(commandsOf(t), "") {
		for _, m := range flag.FindAllStringSubmatch(helpOf(t, strings.Fields(help)...), -1) {
			if v := variable.FindStringSubmatch(m[2]); v != nil {
				all[m[1]] = v[1]
			} else if m[1] != "help" && m[1] != "version" {
				t.Errorf("--%s has no variable", m[1])
			}
		}
	}
	if len(all) < 31 {
		t.Fatalf("%d flags: %v", len(all), all)
	}
	return all
}

// Every flag and command that the help knows has one row in the documents, with
// its variable, and no row names one that is not there.
func TestFlagsAndCommandsAreThoseOfTheHelp(t *testing.T) {
	want := flagsOf(t)
	have := make(map[string]string)
	row := regexp.MustCompile("(?m)^\\| `--(\\w+)`(?:, `-\\w`)? \\| `(\\w+)` \\|")
	for file, text := range documents(t) {
		for _, m := range row.FindAllStringSubmatch(text, -1) {
			if file != "docs/operating.md" || have[m[1]] != "" {
				t.Errorf("%s: one more row of --%s", file, m[1])
			}
			have[m[1]] = m[2]
		}
	}
	if !maps.Equal(have, want) {
		t.Errorf("docs/operating.md has\n%v\nthe helps\n%v", have, want)
	}
	found := rows(page(t, "docs/reference/cli.md"))
	for _, command := range commandsOf(t) {
		if n := found["`"+command+"`"]; n != 1 {
			t.Errorf("docs/reference/cli.md has %d rows of the command %s", n, command)
		}
	}
}
