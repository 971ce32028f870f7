package web

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/test/program"
)

// TestPermissionsByHTTP is the whole table for this door. Each cell has a world of
// its own with the monitors 1 and 2, so that none sees what another did.
// Faults: T69.
func TestPermissionsByHTTP(t *testing.T) {
	w := newWorld(t, options{web: texts})
	who := []struct{ name, token string }{{"none", ""}, {"wrong", "no-such-token"}, {"viewer", viewer}, {"operator", operator}, {"admin", admin}}
	next := 1 // last byte of the address that the next call comes from, so that no wrong token delays another
	for _, c := range []struct {
		what string
		call call
		want [5]int
	}{
		{"health", call{method: "GET", path: "/healthz"}, [5]int{200, 200, 200, 200, 200}},
		{"readiness", call{method: "GET", path: "/readyz"}, [5]int{200, 200, 200, 200, 200}},
		{"version", call{method: "GET", path: "/version"}, [5]int{200, 200, 200, 200, 200}},
		{"list", call{method: "GET", path: "/list"}, [5]int{200, 200, 200, 200, 200}},
		{"show", call{method: "GET", path: "/monitor/%d"}, [5]int{200, 200, 200, 200, 200}},
		{"monitors", call{method: "GET", path: "/api/v1/monitors"}, [5]int{200, 200, 200, 200, 200}},
		{"metrics", call{method: "GET", path: "/metrics"}, [5]int{200, 200, 200, 200, 200}},
		{"probe", call{method: "GET", path: "/probe?monitor=m"}, [5]int{200, 200, 200, 200, 200}},
		{"ask verbosity", call{method: "GET", path: "/verbosity"}, [5]int{200, 200, 200, 200, 200}},
		{"put verbosity", call{method: "PUT", path: "/verbosity", body: "error", kind: "text/plain"}, [5]int{401, 401, 403, 403, 200}},
		{"post verbosity", call{method: "POST", path: "/verbosity", body: "error", kind: "text/plain"}, [5]int{401, 401, 403, 403, 200}},
		{"stop", call{method: "POST", path: "/monitor/%d", body: "stop", kind: "text/plain"}, [5]int{401, 401, 403, 200, 200}},
		{"start", call{method: "POST", path: "/monitor/%d", body: "start", kind: "text/plain"}, [5]int{401, 401, 403, 200, 200}},
		{"unregister", call{method: "DELETE", path: "/monitor/%d"}, [5]int{401, 401, 403, 200, 200}},
		{"register tcp", call{method: "POST", path: "/register", body: definition("new"), kind: "application/json"}, [5]int{401, 401, 403, 200, 200}},
		{"register mysql", call{method: "POST", path: "/register", body: `{"name":"new","probe":{"type":"mysql"}}`, kind: "application/json"}, [5]int{401, 401, 403, 403, 200}},
		{"register an action", call{method: "POST", path: "/register", body: `{"name":"new","probe":{"type":"tcp"},"actions":[{"type":"http","url_fail":"http://h/"}]}`, kind: "application/json"}, [5]int{401, 401, 403, 403, 200}},
		{"register exec", call{method: "POST", path: "/register", body: `{"name":"new","probe":{"type":"exec","command":"id"}}`, kind: "application/json"}, [5]int{401, 401, 403, 403, 403}},
	} {
		for i, x := range who {
			id := w.add("m")
			w.level.Set(0)
			cell := c.call
			if strings.Contains(cell.path, "%d") {
				cell.path = fmt.Sprintf(cell.path, id)
			}
			cell.token, cell.client = x.token, w.clientAt(fmt.Sprint("127.0.0.", next+1))
			next++
			a := w.do(cell)
			if a.status != c.want[i] {
				t.Errorf("%s by %s: got %d %q, want %d", c.what, x.name, a.status, a.body, c.want[i])
			}
			changed := len(w.group.List(monitorFilter())) != 1 || w.level.Level() != 0 || !w.group.List(monitorFilter())[0].Running
			if changed && a.status != 200 {
				t.Errorf("%s by %s: refused by %d and done all the same", c.what, x.name, a.status)
			}
			if got := a.header.Get("WWW-Authenticate") != ""; got != (a.status == 401) {
				t.Errorf("%s by %s: %d with WWW-Authenticate %v", c.what, x.name, a.status, got)
			}
			for _, i := range w.group.List(monitorFilter()) {
				if err := w.group.Unregister(i.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if n := w.built.Load(); n != 0 {
		t.Errorf("%d exec probes were made", n)
	}
}

// Faults: G1.
func TestChangesNeedATokenAndExecNeedsMore(t *testing.T) {
	exec := `{"name":"x","probe":{"type":"exec","command":"/bin/true"}}`
	open := newWorld(t, options{open: true})
	for _, c := range []call{registerCall("", exec), registerCall(admin, definition("a")), {method: "DELETE", path: "/monitor/1"}, {method: "PUT", path: "/verbosity", body: "critical", kind: "text/plain"}} {
		open.want(c, 403, "the service has no token file (--token_file FILE)")
	}
	open.want(call{method: "GET", path: "/list"}, 200)
	insecure := newWorld(t, options{open: true, web: func(c *Config) { c.Policy.Insecure = true }})
	insecure.want(registerCall("", definition("a")), 200)
	insecure.want(registerCall("", exec), 403, "--allow_exec_api")
	allowed := newWorld(t, options{web: func(c *Config) { c.Policy.ExecAPI = true }})
	allowed.want(registerCall(operator, exec), 403)
	allowed.want(registerCall(admin, exec), 200)
	list := execAllow(t, "/bin/true\n")
	narrow := newWorld(t, options{web: func(c *Config) { c.Policy.ExecAPI, c.Policy.ExecAllow = true, list }})
	narrow.want(registerCall(admin, exec), 200)
	narrow.want(registerCall(admin, `{"name":"y","probe":{"type":"exec","command":"/bin/true","args":["x"]}}`), 403, "--exec_allow")
	narrow.want(registerCall(admin, `{"name":"y","probe":{"type":"exec","command":"/bin/true","env":["LD_PRELOAD=/x"]}}`), 403, "env")
}

func TestTokenComesByBasicToo(t *testing.T) {
	w := newWorld(t, options{})
	r, err := http.NewRequest("POST", w.url+"/register", strings.NewReader(definition("a")))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("x", operator)
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("got %d", resp.StatusCode)
	}
}

func TestOperatorsDefinitionIsNotTrusted(t *testing.T) {
	var restricted []bool
	w := newWorld(t, options{group: func(c *monitor.Config) {
		inner := c.Probes["tcp"]
		c.Probes["tcp"] = func(decode func(any) error, env probe.Env) (probe.Probe, error) {
			restricted = append(restricted, env.Restricted)
			return inner(decode, env)
		}
	}})
	w.want(registerCall(operator, definition("a")), 200)
	w.want(registerCall(admin, definition("b")), 200)
	if fmt.Sprint(restricted) != "[true false]" {
		t.Errorf("restricted: got %v, want the operator's only", restricted)
	}
}

// Faults: S11.
func TestGuessersWaitAndRightTokensPass(t *testing.T) {
	w := newWorld(t, options{})
	guesser := w.clientAt("127.0.0.9")
	guess := call{method: "PUT", path: "/verbosity", body: "error", kind: "text/plain", token: "guess", client: guesser}
	for range 5 {
		w.want(guess, 401)
	}
	a := w.want(guess, 429, "wait")
	var s int
	if _, err := fmt.Sscan(a.header.Get("Retry-After"), &s); err != nil || s < 1 || s > 60 {
		t.Errorf("Retry-After: got %q", a.header.Get("Retry-After"))
	}
	w.want(call{method: "GET", path: "/list", token: "guess", client: guesser}, 200)
	guess.token = admin
	w.want(guess, 200)
	if strings.Contains(w.log.String(), "guess") || strings.Contains(w.log.String(), admin) {
		t.Error("the log tells tokens")
	}
}

// TestReadersOfOtherMachinesNeedAToken asks through an address of this machine
// that is not loopback.
func TestReadersOfOtherMachinesNeedAToken(t *testing.T) {
	ip := ownAddress(t)
	everywhere := func(c *Config) { c.Address = net.JoinHostPort(ip, "0") }
	w := newWorld(t, options{web: everywhere})
	for path, want := range map[string][2]int{
		"/healthz": {200, 200}, "/readyz": {200, 200},
		"/list": {401, 200}, "/monitor/1": {401, 404}, "/version": {401, 200}, "/verbosity": {401, 200}, "/api/v1/monitors": {401, 200},
	} {
		for i, token := range []string{"", viewer} {
			w.want(call{method: "GET", path: path, token: token}, want[i])
		}
	}
	w.want(registerCall(viewer, definition("a")), 403)
	w.want(registerCall(operator, definition("a")), 200)
	open := newWorld(t, options{open: true, web: func(c *Config) { everywhere(c); c.Policy.Insecure = true }})
	open.want(call{method: "GET", path: "/list"}, 403, "same machine")
	open.want(registerCall("", definition("a")), 403, "same machine")
	shut := newWorld(t, options{open: true, web: everywhere})
	shut.want(call{method: "GET", path: "/list"}, 403, "need a token to read")
}

// ownAddress returns an address of this machine that is not loopback.
func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	t.Fatal("this test needs an IPv4 address besides 127.0.0.1: add one, for example ip addr add 192.0.2.1/32 dev lo")
	return ""
}

// execDefinitions are what T73 sends: %s is a command.
func execDefinitions() map[string]int {
	all := make(map[string]int)
	for _, kind := range []string{
		`exec`, `Exec`, `EXEC`, `exec `, ` exec`, `\texec`, `exec\n`, `exec\u0000`, `\u0065xec`, `\u0065\u0078\u0065\u0063`,
		`\u200bexec`, `exec\u200b`, `\ufeffexec`, `\u0435xec`, `ｅｘｅｃ`, `exe\u0441`, `\ud835\udc1exec`, `exec\u0301`, `./exec`,
	} {
		all[`{"name":"x","probe":{"type":"`+kind+`","command":"%[1]s","args":["x"]}}`] = 403
		all[`{"name":"x","probe":{"type":"tcp","address":"localhost:1"},"actions":[{"type":"`+kind+`","command":"%[1]s"}]}`] = 403
	}
	all[`{"name":"x","probe":{"type":"tcp","type":"exec","command":"%[1]s"}}`] = 400 // a key twice
	all["\ufeff"+`{"name":"x","probe":{"type":"exec","command":"%[1]s"}}`] = 400
	all[`{"name":"x","probe":{"Type":"exec","command":"%[1]s"}}`] = 400
	all[`{"name":"x","probe":{"type":["exec"],"command":"%[1]s"}}`] = 400
	all[`{"name":"x","Probe":{"type":"exec","command":"%[1]s"},"probe":{"type":"exec","command":"%[1]s"}}`] = 400
	all[`name="x"`+"\n[probe]\ntype=\"exec\"\ncommand=\"%[1]s\"\n"] = 400
	return all
}

// TestNoSpellingOfExecIsRegisteredByHTTP runs the true kinds: a command that ran
// would leave a file.
// Faults: T73.
func TestNoSpellingOfExecIsRegisteredByHTTP(t *testing.T) {
	w := newWorld(t, options{group: func(c *monitor.Config) {
		c.Probes = probe.Builtin()
	}})
	dir := t.TempDir()
	script := filepath.Join(dir, "run")
	program.Script(t, script, ": >"+filepath.Join(dir, "ran"))
	for text, want := range execDefinitions() {
		body := fmt.Sprintf(text, script)
		for _, token := range []string{operator, admin} {
			if a := w.do(registerCall(token, body)); a.status != want {
				t.Errorf("%s: got %d %q, want %d", text, a.status, a.body, want)
			}
		}
	}
	if got := w.group.List(monitorFilter()); len(got) != 0 {
		t.Errorf("registered: %+v", got)
	}
	// The same command runs where it may, within the time a refused one had.
	allowed := newWorld(t, options{
		group: func(c *monitor.Config) { c.Probes = probe.Builtin() },
		web:   func(c *Config) { c.Policy.ExecAPI = true },
	})
	if testkit.Exists(t, filepath.Join(dir, "ran")) {
		t.Fatal("a command ran")
	}
	allowed.want(registerCall(admin, fmt.Sprintf(`{"name":"x","interval":1,"probe":{"type":"exec","command":"%s"}}`, script)), 200)
	testkit.Eventually(t, 10*time.Second, "the command runs where it may", func() bool {
		return testkit.Exists(t, filepath.Join(dir, "ran"))
	})
}

// TestWrongAndMissingTokensTakeTheSameTimeByHTTP asks over the wire; the
// difference of the policy itself is tested where that is. The machine is busy
// with other tests, so the best of three means counts.
// Faults: T69.
func TestWrongAndMissingTokensTakeTheSameTimeByHTTP(t *testing.T) {
	calls := testkit.Fewer(1000, 200)
	w := newWorld(t, options{web: func(c *Config) { c.Log = testkit.QuietLog() }})
	best := time.Hour
	address, client := 0, w.client
	for range 3 {
		var took [2]time.Duration
		for i := range calls {
			if i%4 == 0 {
				// Five wrong ones are let pass from an address.
				address++
				client.CloseIdleConnections()
				client = w.clientAt(fmt.Sprintf("127.1.%d.%d", address/250, address%250+1))
				w.do(call{method: "GET", path: "/version", client: client})
			}
			for k := range 2 {
				// Each comes first as often as second.
				k = (k + i) % 2
				begin := time.Now()
				a := w.do(call{method: "DELETE", path: "/monitor/1", token: []string{"wrong", ""}[k], client: client})
				took[k] += time.Since(begin)
				if a.status != 401 {
					t.Fatalf("call %d of kind %d: %d", i, k, a.status)
				}
			}
		}
		if best = min(best, (took[0]-took[1]).Abs()/time.Duration(calls)); best < time.Millisecond {
			break
		}
	}
	if best >= time.Millisecond {
		t.Errorf("mean difference %v, want less than 1ms", best)
	}
	t.Logf("mean difference %v", best)
}
