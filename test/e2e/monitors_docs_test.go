package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
)

const monitorsDoc = "docs/monitors.md"

func readDoc(t *testing.T, file string) string {
	t.Helper()
	text := testkit.ReadFile(t, file)
	return string(text)
}

// blocks returns the code blocks of a language.
func blocks(text, language string) []string {
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	return found
}

// checkDoc runs the command check, and tells what it wrote and whether it found
// nothing wrong.
func checkDoc(t *testing.T, paths ...string) (stdout string, good bool) {
	t.Helper()
	stdout, _, code := monitorSrv(t, "", append([]string{"check"}, paths...)...)
	return stdout, code == 0
}

// checkText checks the text of one file.
func checkText(t *testing.T, text string) (stdout string, good bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "doc.toml")
	testkit.ReplaceFile(t, file, text)
	return checkDoc(t, file)
}

// Every block of TOML in the documents is a good file, all of them together a
// good directory, and every kind has an example.
func TestDocumentedMonitorsAreAccepted(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{monitorsDoc, "docs/migrating/goma.md", "docs/reference/files.md"} {
		text := readDoc(t, doc)
		dir, secrets := t.TempDir(), t.TempDir()
		examples := blocks(text, "toml")
		if len(examples) == 0 {
			t.Fatalf("%s has no example", doc)
		}
		for i, example := range examples {
			for _, name := range regexp.MustCompile(`"/etc/monitor-srv/([a-z.]+)"`).FindAllStringSubmatch(example, -1) {
				secret := "0123456789"
				switch ext := filepath.Ext(name[1]); {
				case ext == ".dsn":
					secret = "monitor:secret@tcp(127.0.0.1:3306)/"
				case name[1] == "hook.url":
					secret = "https://hooks.example.org/0123456789"
				case ext == ".url":
					secret = "slack://hook:AAAAAAAAA-BBBBBBBBB-123456789123456789123456@webhook"
				}
				testkit.ReplaceFile(t, filepath.Join(secrets, name[1]), secret)
			}
			example = strings.ReplaceAll(example, "/etc/monitor-srv/", secrets+"/")
			testkit.ReplaceFile(t, filepath.Join(dir, fmt.Sprintf("%02d.toml", i)), example)
		}
		if out, good := checkDoc(t, dir); !good || strings.Contains(out, "warning") {
			t.Errorf("%s:\n%s", doc, out)
		}
	}
	text := readDoc(t, monitorsDoc)
	examples := strings.Join(blocks(text, "toml"), "\n")
	for family, kinds := range kindsOfCode(t) {
		for _, kind := range kinds {
			if !strings.Contains(examples, fmt.Sprintf("type = %q", kind)) {
				t.Errorf("no example of the %s %s", family, kind)
			}
		}
	}
	for _, example := range blocks(text, "json") {
		if _, err := monitor.ParseOne(example); err != nil {
			t.Errorf("%v in\n%s", err, example)
		}
	}
}

// kindsOfCode asks the program which kinds it knows.
func kindsOfCode(t *testing.T) map[string][]string {
	t.Helper()
	out, _ := checkText(t, "[[monitor]]\nname = \"x\"\n[monitor.probe]\ntype = \"-\"\n[monitor.filter]\ntype = \"-\"\n[[monitor.actions]]\ntype = \"-\"\n")
	kinds := make(map[string][]string)
	for _, m := range regexp.MustCompile(`unknown type of (\w+) "-"; known are (.*)`).FindAllStringSubmatch(out, -1) {
		kinds[m[1]] = strings.Split(m[2], ", ")
	}
	if len(kinds) != 3 {
		t.Fatalf("no kinds in\n%s", out)
	}
	return kinds
}

// keyTable is the table of keys of one kind: their types by name.
type keyTable map[string]string

// tables reads the tables of keys of the document by the heading they stand
// under, such as "Probe `http`". A kind without a table has no keys.
func tables(t *testing.T) map[string]keyTable {
	t.Helper()
	all := make(map[string]keyTable)
	var now keyTable
	inside := false
	for line := range strings.Lines(readDoc(t, monitorsDoc)) {
		line = strings.TrimSpace(line)
		cells := strings.Split(line, " | ")
		switch {
		case strings.HasPrefix(line, "#"):
			now = make(keyTable)
			all[strings.TrimLeft(line, "# ")] = now
		case strings.HasPrefix(line, "| key |"):
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside && strings.HasPrefix(line, "| `"):
			now[strings.Trim(cells[0], "| `")] = cells[1]
		}
	}
	return all
}

// sectionText returns a file in which the kind of a family has the keys.
func sectionText(family, kind string, keys ...string) string {
	text := "[[monitor]]\nname = \"x\"\n"
	body := strings.Join(keys, "\n") + "\n"
	switch family {
	case "monitor":
		return "[[monitor]]\n" + body
	case "tls":
		return text + "[monitor.probe]\ntype = \"tcp\"\n[monitor.probe.tls]\n" + body
	case "filter":
		return text + "[monitor.probe]\ntype = \"tcp\"\n[monitor.filter]\ntype = \"" + kind + "\"\n" + body
	case "action":
		return text + "[monitor.probe]\ntype = \"tcp\"\n[[monitor.actions]]\ntype = \"" + kind + "\"\n" + body
	}
	return text + "[monitor.probe]\ntype = \"" + kind + "\"\n" + body
}

// typeErrors are what the decoder says of a date in place of a type.
func typeErrors() map[string]string {
	return map[string]string{
		"string":          `want a string, have a date`,
		"number":          `want a number, have a date`,
		"whole number":    `want a whole number, have a date`,
		"true or false":   `want true or false, have a date`,
		"duration":        `want seconds or a string such as "10s", have a date`,
		"list of strings": `want a list, have a date`,
		"list of tables":  `want a list, have a date`,
		"table":           `want a table, have a date`,
		"table or list":   `want a table such as .* or a list such as .*, have a date`,
	}
}

// The tables of keys say what the code says: the same keys, of the same types.
func TestDocumentedKeysAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	type section struct{ family, kind, heading string }
	sections := []section{{"monitor", "", "Monitor"}, {"tls", "", "Table `tls`"}}
	for family, kinds := range kindsOfCode(t) {
		for _, kind := range kinds {
			heading := fmt.Sprintf("%s `%s`", strings.ToUpper(family[:1])+family[1:], kind)
			sections = append(sections, section{family, kind, heading})
		}
	}
	documented := tables(t)
	for _, p := range sections {
		t.Run(p.heading, func(t *testing.T) {
			t.Parallel()
			table, ok := documented[p.heading]
			if !ok {
				t.Fatalf("no heading %q", p.heading)
			}
			out, _ := checkText(t, sectionText(p.family, p.kind, "unheard_of = 1"))
			m := regexp.MustCompile(`unheard_of: unknown key; known are (.*)`).FindStringSubmatch(out)
			if m == nil {
				t.Fatalf("no keys in\n%s", out)
			}
			var want []string
			if m[1] != "none" {
				want = strings.Split(m[1], ", ")
			}
			var got, dates []string
			for key := range table {
				got = append(got, key)
				dates = append(dates, key+" = 2026-01-02")
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("the document has %v, the code %v", got, want)
			}
			out, _ = checkText(t, sectionText(p.family, p.kind, dates...))
			for key, kind := range table {
				says, ok := typeErrors()[kind]
				if !ok {
					t.Errorf("%s is of type %q, which nothing is", key, kind)
				}
				if !regexp.MustCompile(`(?m)[ .]` + key + `: ` + says).MatchString(out) {
					t.Errorf("%s is no %s:\n%s", key, kind, out)
				}
			}
		})
	}
	for heading, table := range documented {
		if len(table) > 0 && !slices.ContainsFunc(sections, func(p section) bool { return p.heading == heading }) {
			t.Errorf("%q describes what is not there", heading)
		}
	}
}

// unmeasured replaces what differs from run to run.
func unmeasured(s string) string {
	s = regexp.MustCompile(`(in|connect|byte|body) [0-9.]+(µs|ms|s)\b`).ReplaceAllString(s, "$1 TIME")
	return strings.TrimSpace(regexp.MustCompile(`\b[0-9]+ bytes`).ReplaceAllString(s, "N bytes"))
}

// The commands of the first tour print what the document says.
func TestDocumentedTourOfMonitors(t *testing.T) {
	t.Parallel()
	text := readDoc(t, monitorsDoc)
	work := t.TempDir()
	dir := filepath.Join(work, "monitors")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	m := startMonitor(t, "--registry", "memory", "-d", dir)
	m.ready(startWithin)
	testkit.ReplaceFile(t, filepath.Join(dir, "ready.toml"), strings.Replace(blocks(text, "toml")[1], "127.0.0.1:3838", m.http, 1))
	program := binary(t, "monitor-srv")
	ask := func(line string) (string, error) {
		cmd := exec.Command(program, strings.Fields(line)...)
		cmd.Dir, cmd.Env = work, append(cleanEnv(), "MONITOR_HTTP_ADDRESS="+m.http)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	testkit.Eventually(t, 10*time.Second, "the file is read", func() bool {
		out, _ := ask("list")
		return strings.Contains(out, "ready ")
	})
	examples := strings.Split("\n"+blocks(text, "console")[0], "\n$ monitor-srv ")[1:]
	if len(examples) < 4 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, example := range examples {
		line, want, _ := strings.Cut(example, "\n")
		got, err := ask(line)
		if err != nil || unmeasured(got) != unmeasured(want) {
			t.Errorf("monitor-srv %s: %v\ngot  %s\nwant %s", line, err, got, want)
		}
	}
}
