package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/cli"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
)

// An instance takes ten registrations a second; the command goes on when it may,
// and a file may be registered again.
// Faults: G31.
func TestRegisterWaitsItsTurnAndMayBeRepeated(t *testing.T) {
	t.Parallel()
	const n = 25
	var text, want, again strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "[[monitor]]\nname = \"m%d\"\n[monitor.probe]\ntype = \"tcp\"\naddress = \"192.0.2.1:1\"\n", i)
		fmt.Fprintf(&want, "m%d is registered and started as monitor id=%d\n", i, i+1)
		fmt.Fprintf(&again, "m%d was registered before; nothing has changed: monitor id=%d\n", i, i+1)
	}
	m := startMonitor(t, "--registry", "memory", "-d", t.TempDir(), "--token_file", tokenFile(t))
	m.ready(startWithin)
	for when, want := range []string{want.String(), again.String()} {
		begin := time.Now()
		stdout, stderr, code := m.command(adm, text.String(), "register", "-")
		if code != 0 || stdout != want {
			t.Fatalf("time %d: exit %d, %q\n%s", when+1, code, stderr, stdout)
		}
		if took := time.Since(begin); when == 0 && took < 2*time.Second {
			t.Errorf("%d were registered within %v", n, took)
		}
	}
	_, stderr, code := m.command(adm, strings.Replace(text.String(), "192.0.2.1:1", "192.0.2.1:2", 1), "register", "-")
	if want := fmt.Sprintf("monitor-srv: registering monitor \"m0\": %q says 409 Conflict: the name is already in use: choose another, or unregister the monitor that has it\n", m.http); code != cli.ExitFailed || stderr != want {
		t.Errorf("another m0: exit %d, %q, want %q", code, stderr, want)
	}
}

// Under --insecure_api every program of this machine may change things by RPC, as
// the micro command does, but no page in a browser of it.
// Faults: T70.
func TestInsecureInstanceRefusesWebPagesByRPC(t *testing.T) {
	t.Parallel()
	c := consultest.Start(t)
	dir := configDir(t, "[[monitor]]\nname = \"a\"\n[monitor.probe]\ntype = \"tcp\"\naddress = \"192.0.2.1:1\"\n")
	m := startMonitor(t, "--registry_address", c.Address(), "-d", dir, "--insecure_api", "--http_host", "mon.example")
	m.ready(startWithin)
	testkit.Eventually(t, 10*time.Second, "the micro command stops the monitor", func() bool {
		_, _, code := m.micro("call", srv, "Monitor.Stop", `{"id": 1}`)
		return code == 0
	})
	if stdout, stderr, code := m.micro("call", srv, "Monitor.Start", `{"id": 1}`); code != 0 || !strings.Contains(stdout, `"running":true`) && !strings.Contains(stdout, `"running": true`) {
		t.Fatalf("the micro command: exit %d, %s%s", code, stdout, stderr)
	}
	for _, method := range []string{"Stop", "Unregister"} {
		for _, page := range []map[string]string{
			{"Host": "evil.example"},
			{"Host": "evil.example", "Origin": "http://evil.example"},
			{"Host": "localhost.evil.example:80", "Sec-Fetch-Site": "same-origin"},
			{"Origin": "http://evil.example"},
			{"Origin": "null"},
			{"Origin": "http://" + m.rpcAddress()},
			{"Sec-Fetch-Site": "cross-site"},
			{"Sec-Fetch-Site": "same-site"},
			{"Sec-Fetch-Site": "cross-site", "Micro-Id": "7", "Micro-Service": srv},
			{"Host": "evil.example", "Content-Type": "application/protobuf"},
		} {
			body := `{"id": 1}`
			if page["Content-Type"] == "application/protobuf" {
				body = "\x08\x01"
			}
			if failure := m.forge(t, "Monitor."+method, body, page); !strings.Contains(failure, `"code":403`) || !strings.Contains(failure, "web pages may not make changes") && !strings.Contains(failure, "not known as") {
				t.Errorf("%s with %v: got %q, want 403", method, page, failure)
			}
		}
	}
	if failure := m.forge(t, "Monitor.Monitors", `{}`, map[string]string{"Host": "evil.example", "Origin": "http://evil.example"}); failure != "" {
		t.Errorf("reading is open: %s", failure)
	}
	if stdout, _, _ := m.command("", "", "show", "1"); !strings.Contains(stdout, "Running: true") {
		t.Errorf("something was changed:\n%s", stdout)
	}
	_, port, _ := strings.Cut(m.rpcAddress(), ":")
	for _, host := range []string{"localhost", "localhost:" + port, "[::1]:" + port, "mon.example:" + port} {
		if failure := m.forge(t, "Monitor.Start", `{"id": 1}`, map[string]string{"Host": host, "Sec-Fetch-Mode": "cors"}); failure != "" {
			t.Errorf("a program that calls %s: %s", host, failure)
		}
	}
}

// forge makes a call with headers of its own, and returns the error of the
// answer.
func (m *subject) forge(t *testing.T, method, body string, header map[string]string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+m.rpcAddress(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Micro-Endpoint", method)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	req.Host, req.Close = header["Host"], true
	resp, answer := testkit.Do(t, http.DefaultClient, req)
	failure := resp.Header.Get("Micro-Error")
	if failure == "" && resp.StatusCode != http.StatusOK {
		failure = answer
	}
	if resp.Header.Get("Host") != "" || resp.Header.Get("Origin") != "" {
		t.Errorf("the answer repeats what the request says: %v", resp.Header)
	}
	return failure
}
