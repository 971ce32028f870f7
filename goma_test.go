package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

// gomaKeys returns every key that goma's documentation names, by the table it
// stands in.
func gomaKeys() map[string]string {
	return map[string]string{
		"monitor":        "name interval timeout min max probe filter actions",
		"probe exec":     "type command args parse errval env",
		"probe http":     "type url method agent proxy header parse errval",
		"probe mysql":    "type dsn query errval",
		"filter average": "type init window",
		"actions exec":   "type command args env timeout debug",
		"actions http":   "type url_init url_fail url_recover method agent header params timeout",
		"actions mail":   "type from to init_to fail_to recover_to subject body server user password header bcc",
	}
}

// gomaFile is the shape of goma's files.
type gomaFile struct {
	Monitor []map[string]any `toml:"monitor"`
}

// gomaDirectory copies the sample files to where nobody else may write, whatever
// the umask was when they were checked out, and returns the names of the
// monitors in them.
func gomaDirectory(t *testing.T) (dir string, names []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/goma/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sample files: %v", err)
	}
	dir = t.TempDir()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, filepath.Base(file)), string(text))
		for _, m := range gomaMonitors(t, file) {
			names = append(names, m["name"].(string))
		}
	}
	slices.Sort(names)
	return dir, names
}

func gomaMonitors(t *testing.T, file string) []map[string]any {
	t.Helper()
	var f gomaFile
	if _, err := toml.DecodeFile(file, &f); err != nil {
		t.Fatal(err)
	}
	return f.Monitor
}

// The sample files use every key of goma, and none that goma lacks.
func TestGomaFilesUseEveryKeyOfGoma(t *testing.T) {
	t.Parallel()
	used := make(map[string]map[string]bool)
	use := func(table string, keys map[string]any) {
		if used[table] == nil {
			used[table] = make(map[string]bool)
		}
		for key := range keys {
			used[table][key] = true
		}
	}
	files, _ := filepath.Glob("testdata/goma/*.toml")
	for _, file := range files {
		for _, m := range gomaMonitors(t, file) {
			use("monitor", m)
			for _, name := range []string{"probe", "filter"} {
				if s, ok := m[name].(map[string]any); ok {
					use(name+" "+s["type"].(string), s)
				}
			}
			actions, _ := m["actions"].([]map[string]any)
			for _, s := range actions {
				use("actions "+s["type"].(string), s)
			}
		}
	}
	for table, keys := range gomaKeys() {
		want := slices.Sorted(slices.Values(strings.Fields(keys)))
		if got := slices.Sorted(maps.Keys(used[table])); !slices.Equal(got, want) {
			t.Errorf("%s: the files use %v, goma has %v", table, got, want)
		}
		delete(used, table)
	}
	if len(used) > 0 {
		t.Errorf("the files use what goma lacks: %v", used)
	}
}

// A directory of goma's files is accepted and runs as it is, although the
// servers that it names are down (G17): every monitor is listed and probes.
func TestG17GomaDirectoryRunsUnchanged(t *testing.T) {
	t.Parallel()
	dir, names := gomaDirectory(t)
	out, err := exec.Command(binary(t, "monitor-srv"), "check", dir).CombinedOutput()
	if err != nil || strings.Contains(string(out), "warning") {
		t.Fatalf("check: %v\n%s", err, out)
	}
	m := startMonitor(t, "--registry", "memory", "-d", dir)
	m.ready(startWithin)
	var listed []struct {
		ID, Name string
		Running  bool
	}
	resp, err := http.Get("http://" + m.http + "/list")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&listed); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range listed {
		got = append(got, l.Name)
		if !l.Running || l.ID == "" || l.ID == "0" {
			t.Errorf("listed %+v", l)
		}
	}
	if slices.Sort(got); !slices.Equal(got, names) {
		t.Errorf("listed %q, want %q", got, names)
	}
	// The first probes are spread over 10 s.
	want := map[string]int{"exec: defaults": 1, "exec: whole numbers": 1, "mail: every key": 2, "http: defaults": 2, "http: every key": 2, "mysql: replication lag": 2}
	eventually(t, 20*time.Second, "every monitor was probed", func() bool { return m.checks(`{"source": 1, "limit": 100}`).Total == len(names) })
	for _, c := range m.checks(`{"source": 1, "limit": 100}`).HealthChecks {
		if status, ok := want[strings.TrimPrefix(c.ID, monitorPrefix)]; ok && c.Status != status {
			t.Errorf("%s: status %d (%s), want %d", c.ID, c.Status, c.Error, status)
		}
		if strings.Contains(c.Error, "secret") || strings.Contains(c.Error, "0123456789") {
			t.Errorf("%s tells a secret: %s", c.ID, c.Error)
		}
	}
	m.stopsInOrder(t)
}

// goma's own command says at our port what the document shows.
func TestGomaCommandDoesWhatTheDocumentShows(t *testing.T) {
	t.Parallel()
	const doc = "docs/migrating-from-goma.md"
	text := readDoc(t, doc)
	dir, work := t.TempDir(), t.TempDir()
	definition := blocks(text, "toml")[0]
	write(t, filepath.Join(work, "new.toml"), definition)
	write(t, filepath.Join(dir, "shop.toml"), strings.Replace(definition, "new shop", "shop", 1))
	m := startMonitor(t, "--registry", "memory", "-d", dir, "--token_file", tokenFile(t))
	m.ready(startWithin)
	goma := tool(t, "goma", "GOMA_BIN")
	examples := strings.Split("\n"+blocks(text, "console")[0], "\n$ goma ")[1:]
	if len(examples) < 7 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, example := range examples {
		line, want, _ := strings.Cut(example, "\n")
		line = strings.Replace(line, "TOKEN@localhost:3838", adm+"@"+m.http, 1)
		cmd := exec.Command(goma, strings.Fields(line)...)
		cmd.Dir = work
		got, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(got)) != strings.TrimSpace(want) {
			t.Errorf("goma %s: %v\ngot  %s\nwant %s", line, err, got, want)
		}
	}
}
