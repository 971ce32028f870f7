package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/microhq/monitor-srv/internal/testkit"
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
	files, err := filepath.Glob("test/e2e/testdata/goma/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sample files: %v", err)
	}
	dir = t.TempDir()
	for _, file := range files {
		text := testkit.ReadFile(t, file)
		testkit.ReplaceFile(t, filepath.Join(dir, filepath.Base(file)), string(text))
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
	files, _ := filepath.Glob("test/e2e/testdata/goma/*.toml")
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
// Faults: G17.
func TestGomaDirectoryRunsUnchanged(t *testing.T) {
	testkit.SkipIfShort(t)
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
	want := map[string]int{
		"exec: defaults": 1, "exec: load of the machine, smoothed": 1, "exec: whole numbers": 1,
		"http: defaults": 2, "http: every key": 2, "http: head, told by a query": 2,
		"mail: every key": 2, "mail: defaults": 1, "mail: and others": 1,
		"mysql: replication lag": 2, "mysql: defaults": 2,
	}
	testkit.Eventually(t, 20*time.Second, "every monitor was probed", func() bool { return m.checks(`{"source": 1, "limit": 100}`).Total == len(names) })
	for _, c := range m.checks(`{"source": 1, "limit": 100}`).HealthChecks {
		if status := want[strings.TrimPrefix(c.ID, "monitor.")]; c.Status != status {
			t.Errorf("%s: status %d (%s), want %d", c.ID, c.Status, c.Error, status)
		}
		if failing := c.Status == 2; failing != (c.Error != "") {
			t.Errorf("%s: status %d with the error %q", c.ID, c.Status, c.Error)
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
	const doc = "docs/migrating/goma.md"
	text := readDoc(t, doc)
	dir, work := t.TempDir(), t.TempDir()
	definition := blocks(text, "toml")[0]
	testkit.ReplaceFile(t, filepath.Join(work, "new.toml"), definition)
	testkit.ReplaceFile(t, filepath.Join(dir, "shop.toml"), strings.Replace(definition, "new shop", "shop", 1))
	m := startMonitor(t, "--registry", "memory", "-d", dir, "--token_file", tokenFile(t))
	m.ready(startWithin)
	goma := testkit.Tool(t, "goma", "GOMA_BIN")
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

// What goma's own command is told when it is used wrongly, which it shows as it
// stands; and nothing is changed by it.
func TestGomaCommandIsToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir, work := t.TempDir(), t.TempDir()
	monitor := func(name, probe string) string {
		return "[[monitor]]\nname = \"" + name + "\"\n[monitor.probe]\n" + probe + "\n"
	}
	const tcp = "type = \"tcp\"\naddress = \"127.0.0.1:9\""
	testkit.ReplaceFile(t, filepath.Join(dir, "shop.toml"), monitor("shop", tcp))
	for name, text := range map[string]string{
		"again.toml":   monitor("shop", tcp),
		"unknown.toml": monitor("new", strings.Replace(tcp, "address", "addres", 1)),
		"exec.toml":    monitor("new", "type = \"exec\"\ncommand = \"/bin/true\""),
		"late.toml":    strings.Replace(monitor("new", tcp), "[monitor.probe]", "interval = 10\ntimeout = 11\n[monitor.probe]", 1),
		"names.toml":   monitor("new\\nline", tcp),
	} {
		testkit.ReplaceFile(t, filepath.Join(work, name), text)
	}
	m := startMonitor(t, "--registry", "memory", "-d", dir, "--token_file", tokenFile(t))
	m.ready(startWithin)
	bin := testkit.Tool(t, "goma", "GOMA_BIN")
	goma := func(token, args string) (string, error) {
		server := m.http
		if token != "" {
			server = "x:" + token + "@" + server
		}
		cmd := exec.Command(bin, append([]string{"-s", server}, strings.Fields(args)...)...)
		cmd.Dir = work
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	testkit.Eventually(t, ample, "the monitor was probed", func() bool { return len(failing(t, m)) == 1 })
	before, err := goma("", "list")
	if err != nil {
		t.Fatalf("list without a token: %v\n%s", err, before)
	}
	for _, c := range []struct{ token, args, status, why string }{
		{adm, "show 99", "404 Not Found", "monitor 99: not found"},
		{adm, "start 99", "404 Not Found", "monitor 99: not found"},
		{adm, "stop 99", "404 Not Found", "monitor 99: not found"},
		{adm, "unregister 99", "404 Not Found", "monitor 99: not found"},
		{"", "stop 1", "401 Unauthorized", "the token is missing or unknown"},
		{"guess", "unregister 1", "401 Unauthorized", "the token is missing or unknown"},
		{op, "verbosity error", "403 Forbidden", "admin is required"},
		{op, "register exec.toml", "403 Forbidden", "an operator may register probes of the types"},
		{adm, "register exec.toml", "403 Forbidden", "--allow_exec_api"},
		{adm, "register again.toml", "409 Conflict", "the name is already in use"},
		{adm, "register unknown.toml", "400 Bad Request", "probe tcp: addres: unknown key"},
		{adm, "register late.toml", "400 Bad Request", "timeout: 11s is out of range"},
		{adm, "register names.toml", "400 Bad Request", "unprintable character"},
		{adm, "verbosity loud", "400 Bad Request", "give one of critical"},
	} {
		got, err := goma(c.token, c.args)
		if err == nil || !strings.HasPrefix(got, "Server error: "+c.status+"\n") || !strings.Contains(got, c.why) {
			t.Errorf("goma with the token %q, %s: %v\n%s\nwant %s: %s", c.token, c.args, err, got, c.status, c.why)
		}
	}
	if after, err := goma("", "list"); err != nil || after != before {
		t.Errorf("%v, the list was\n%s\nand is\n%s", err, before, after)
	}
}

// Commands refuse goma's own server, which answers to the same paths: its word that
// something is stopped is about another fleet.
func TestCommandsRefuseTheServerOfGoma(t *testing.T) {
	t.Parallel()
	address := testkit.FreeAddress(t)
	goma := start(t, nil, testkit.Tool(t, "goma", "GOMA_BIN"), "-s", address, "-d", t.TempDir(), "serve")
	testkit.Eventually(t, ample, "goma serves", func() bool {
		resp, err := http.Get("http://" + address + "/list")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	for _, args := range [][]string{{"list"}, {"verbosity", "error"}, {"stop", "0"}, {"health"}} {
		stdout, stderr, code := monitorSrv(t, "", append(args, "-s", address)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, `"`+address+`" is not monitor-srv: it answers `) {
			t.Errorf("%v: exit %d, %s%s", args, code, stdout, stderr)
		}
	}
	goma.kill()
}
