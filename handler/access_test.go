package handler

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	merrors "go-micro.dev/v4/errors"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/rpctest"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/test/program"
)

// answerOf calls a method over the wire and returns the code of the answer.
func answerOf(t *testing.T, p *rpctest.Port, method, request string, header map[string]string) (code int32, detail string) {
	t.Helper()
	all := map[string]string{"Content-Type": "application/json", "Micro-Endpoint": "Monitor." + method}
	for k, v := range header {
		all[k] = v
	}
	rsp, body := p.Post(t, all, request)
	if text := rsp.Header.Get("Micro-Error"); text != "" {
		e := merrors.Parse(text)
		return e.Code, e.Detail
	}
	return int32(rsp.StatusCode), body
}

func bearer(token string) map[string]string {
	if token == "" {
		return nil
	}
	return map[string]string{"Authorization": "Bearer " + token}
}

func definitionRequest(definition string) string {
	return `{"definition": ` + strconv.Quote(definition) + `}`
}

// TestPermissionsByRPC is the whole table for this door. Each cell has a port of
// its own with the monitor 1, so that none sees what another did.
// Faults: T69.
func TestPermissionsByRPC(t *testing.T) {
	all, operators, admins := [5]int32{200, 200, 200, 200, 200}, [5]int32{401, 401, 403, 200, 200}, [5]int32{401, 401, 403, 403, 200}
	who := []struct{ name, token string }{{"none", ""}, {"wrong", "no-such-token"}, {"viewer", "viewer-token-long"}, {"operator", "operator-token-long"}, {"admin", "admin-token-long"}}
	for _, c := range []struct {
		what, method, request string
		want                  [5]int32
	}{
		{"checks", "HealthChecks", `{}`, all},
		{"services", "Services", `{}`, all},
		{"status", "Status", `{}`, all},
		{"stats", "Stats", `{}`, all},
		{"history", "History", `{}`, all},
		{"watch", "Watch", `{}`, all},
		{"monitors", "Monitors", `{}`, all},
		{"ask verbosity", "Verbosity", `{}`, all},
		{"set verbosity", "Verbosity", `{"level": "error"}`, admins},
		{"wrong verbosity", "Verbosity", `{"level": "loud"}`, [5]int32{401, 401, 403, 403, 400}},
		{"stop", "Stop", `{"id": 1}`, operators},
		{"start", "Start", `{"id": 1}`, operators},
		{"unregister", "Unregister", `{"id": 1}`, operators},
		{"unregister what is not", "Unregister", `{"id": 7}`, [5]int32{401, 401, 403, 404, 404}},
		{"stop what cannot be", "Stop", `{"id": -1}`, [5]int32{401, 401, 403, 400, 400}},
		{"register tcp", "Register", definitionRequest(plainDefinition), operators},
		{"register mysql", "Register", definitionRequest(mysqlDefinition), admins},
		{"register an action", "Register", definitionRequest(ownDefinition), admins},
		{"register exec", "Register", definitionRequest(execDefinition), [5]int32{401, 401, 403, 403, 403}},
		{"register nonsense", "Register", `{"definition": "x"}`, [5]int32{401, 401, 403, 400, 400}},
	} {
		for i, x := range who {
			m := monitored(t, nil)
			d, err := monitor.ParseOne(strings.Replace(plainDefinition, `"plain"`, `"old"`, 1))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.group.Register(d); err != nil {
				t.Fatal(err)
			}
			code, detail := answerOf(t, serve(t, m), c.method, c.request, bearer(x.token))
			if code != c.want[i] {
				t.Errorf("%s by %s: got %d %s, want %d", c.what, x.name, code, detail, c.want[i])
			}
			now := m.group.List(monitor.Filter{})
			if changed := len(now) != 1 || !now[0].Running || m.level.Level() != slog.LevelInfo; changed && code != 200 {
				t.Errorf("%s by %s: refused by %d and done all the same: %+v", c.what, x.name, code, now)
			}
		}
	}
}

// TestWrongAndMissingTokensTakeTheSameTimeByRPC asks over the wire. The machine
// is busy with other tests, so the best of three means counts.
// Faults: T69.
func TestWrongAndMissingTokensTakeTheSameTimeByRPC(t *testing.T) {
	calls := testkit.Fewer(1000, 200)
	p := serve(t, monitored(t, nil))
	best := time.Hour
	address := 0
	var client *http.Client
	for range 3 {
		var took [2]time.Duration
		for i := range calls {
			if i%4 == 0 {
				// Five wrong ones are let pass from an address.
				address++
				if client != nil {
					client.CloseIdleConnections()
				}
				d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(fmt.Sprintf("127.1.%d.%d", address/250, address%250+1))}}
				client = &http.Client{Transport: &http.Transport{DialContext: d.DialContext}, Timeout: 20 * time.Second}
				stopOne(t, client, p.Address, "")
			}
			for k := range 2 {
				k = (k + i) % 2 // each comes first as often as second
				took[k] += stopOne(t, client, p.Address, []string{"wrong", ""}[k])
			}
		}
		if best = min(best, (took[0]-took[1]).Abs()/time.Duration(calls)); best < time.Millisecond {
			break
		}
	}
	client.CloseIdleConnections()
	if best >= time.Millisecond {
		t.Errorf("mean difference %v, want less than 1ms", best)
	}
	t.Logf("mean difference %v", best)
}

// stopOne asks for a stop in vain and returns how long the answer took.
func stopOne(t *testing.T, client *http.Client, address, token string) time.Duration {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+address, strings.NewReader(`{"id": 1}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Micro-Endpoint", "Monitor.Stop")
	for k, v := range bearer(token) {
		req.Header.Set(k, v)
	}
	begin := time.Now()
	rsp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	rsp.Body.Close()
	if e := merrors.Parse(rsp.Header.Get("Micro-Error")); e.Code != 401 {
		t.Fatalf("token %q: %v", token, e)
	}
	return took
}

// execTypes are writings of the type exec, as JSON and TOML both have them.
func execTypes() []string {
	return []string{
		`exec`, `Exec`, `EXEC`, `exec `, ` exec`, `\texec`, `exec\n`, `exec\u0000`, `\u0065xec`, `\u0065\u0078\u0065\u0063`,
		`\u200bexec`, `exec\u200b`, `\ufeffexec`, `\u0435xec`, `ｅｘｅｃ`, `exe\u0441`, `exec\u0301`, `./exec`,
	}
}

// TestNoSpellingOfExecIsRegisteredByRPC runs the true kinds: a command that
// ran would leave a file.
// Faults: T73.
func TestNoSpellingOfExecIsRegisteredByRPC(t *testing.T) {
	dir := t.TempDir()
	ran, script := filepath.Join(dir, "ran"), filepath.Join(dir, "run")
	program.Script(t, script, ": >"+ran)
	m := monitored(t, nil)
	p := serve(t, m)
	refused := func(definition string, want int32) {
		t.Helper()
		for _, token := range []string{"operator-token-long", "admin-token-long"} {
			if code, detail := answerOf(t, p, "Register", definitionRequest(definition), bearer(token)); code != want {
				t.Errorf("%q with %s: got %d %s, want %d", definition, token, code, detail, want)
			}
		}
	}
	for _, kind := range execTypes() {
		for _, form := range []string{
			`{"name":"x","probe":{"type":"%s","command":"%s"}}`,
			`{"name":"x","probe":{"type":"tcp","address":"192.0.2.1:1"},"actions":[{"type":"%s","command":"%s"}]}`,
			"name = \"x\"\n[probe]\ntype = \"%s\"\ncommand = \"%s\"\n",
			"[[monitor]]\nname = \"x\"\nprobe = { type = \"%s\", command = \"%s\" }\n",
			"[[monitor]]\nname = \"x\"\nprobe = { type = \"tcp\", address = \"192.0.2.1:1\" }\n[[monitor.actions]]\ntype = \"%s\"\ncommand = \"%s\"\n",
		} {
			refused(fmt.Sprintf(form, kind, script), 403)
		}
	}
	for _, definition := range []string{
		`{"name":"x","probe":{"type":"tcp","type":"exec","command":"%s"}}`,
		`{"name":"x","probe":{"Type":"exec","command":"%s"}}`,
		`{"name":"x","probe":{"type":["exec"],"command":"%s"}}`,
		"name = 'x'\nprobe.type = 'tcp'\nprobe.type = 'exec'\nprobe.command = '%s'\n",
		"[[receiver]]\nname = 'r'\ntype = 'exec'\ncommand = '%s'\n",
	} {
		refused(fmt.Sprintf(definition, script), 400)
	}
	refused(fmt.Sprintf("name = 'x'\nprobe = { type = 'exec', command = '%s' }\n", script), 403)
	refused(fmt.Sprintf("\ufeff{\"name\":\"x\",\"probe\":{\"type\":\"exec\",\"command\":\"%s\"}}", script), 403)
	if got := m.group.List(monitor.Filter{}); len(got) != 0 {
		t.Errorf("registered: %+v", got)
	}
	if testkit.Exists(t, ran) {
		t.Error("a command ran")
	}
	// It would have left its file: it does where it may run.
	allowed := serve(t, monitored(t, func(p *access.Policy) { p.ExecAPI = true }))
	definition := fmt.Sprintf(`{"name":"x","interval":1,"probe":{"type":"exec","command":"%s"}}`, script)
	if code, detail := answerOf(t, allowed, "Register", definitionRequest(definition), bearer("admin-token-long")); code != 200 {
		t.Fatalf("%d %s", code, detail)
	}
	testkit.Eventually(t, 20*time.Second, "the command runs where it may", func() bool { return testkit.Exists(t, ran) })
}

// TestRequestsOfWebPagesChangeNothingByRPC has no tokens, so that every program
// of this machine may change things.
// Faults: T70.
func TestRequestsOfWebPagesChangeNothingByRPC(t *testing.T) {
	m := monitored(t, func(p *access.Policy) { p.Tokens, p.Insecure = nil, true })
	p := serve(t, m)
	for _, header := range []map[string]string{
		{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://" + p.Address},
		{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "same-origin"},
		{"Origin": "http://evil.example", "Authorization": "Bearer any-token-will-do"},
	} {
		for method, request := range map[string]string{
			"Register": definitionRequest(plainDefinition), "Verbosity": `{"level": "error"}`,
			"Stop": `{"id": 1}`, "Start": `{"id": 1}`, "Unregister": `{"id": 1}`,
		} {
			if code, detail := answerOf(t, p, method, request, header); code != 403 || !strings.Contains(detail, "web pages may not make changes") {
				t.Errorf("%s with %v: %d %s", method, header, code, detail)
			}
		}
	}
	if got := m.group.List(monitor.Filter{}); len(got) != 0 || m.level.Level() != slog.LevelInfo {
		t.Errorf("something was changed: %+v, %v", got, m.level.Level())
	}
	// Types that a page may send without asking first are no calls at all.
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		if code, _ := answerOf(t, p, "Verbosity", `{"level": "error"}`, map[string]string{"Content-Type": kind}); code != 415 {
			t.Errorf("%s: got %d, want 415", kind, code)
		}
	}
	if code, detail := answerOf(t, p, "Register", definitionRequest(plainDefinition), map[string]string{"Sec-Fetch-Mode": "cors", "User-Agent": "node"}); code != 200 {
		t.Errorf("a program: %d %s", code, detail)
	}
}
