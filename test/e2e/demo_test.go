package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// The demo answers with the two checks of the README of 2015, without anything
// else installed, and prints commands that work.
func TestDemo(t *testing.T) {
	t.Parallel()
	addresses := []string{testkit.FreeAddress(t), testkit.FreeAddress(t)}
	m := &subject{http: addresses[0], env: []string{"MICRO_PROXY=" + addresses[1]}}
	m.process = start(t, nil, binary(t, "monitor-srv"),
		"--registry", "memory", "--http_address", addresses[0], "--server_address", addresses[1], "demo")
	testkit.Eventually(t, 20*time.Second, "the demo explains itself", func() bool { return strings.Contains(m.output(), "Ctrl-C ends it.") })
	testkit.Eventually(t, 20*time.Second, "the demo says that the registry is well", func() bool { return strings.Contains(m.output(), "The registry is well") })
	if want := "MICRO_PROXY=" + addresses[1] + " bin/micro call go.micro.srv.monitor Monitor.HealthChecks '{}'"; !strings.Contains(m.output(), want) {
		t.Errorf("the output does not say %s", want)
	}
	stdout, stderr, code := m.micro("call", srv, "Monitor.HealthChecks", `{"id": "go.micro.healthcheck.pong"}`)
	if code != 0 {
		t.Fatalf("micro call: exit %d: %s", code, stderr)
	}
	for _, want := range []string{
		`"description":"This is a pong healthcheck that fails"`, `"error":"Unknown exception"`, `"status":2`,
		`"results":{"foo":"ugh","label":"","metric":"-0.0001","msg":"a catastrophic failure occurred","stats":"NaN"}`,
		`"name":"go-server"`, `"version":"1.0.0"`, `"service":{"id":"go-server-`,
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the answer lacks %s:\n%s", want, stdout)
		}
	}
	if _, stderr, code := m.micro("call", srv, "Monitor.HealthChecks", `{"id": "nope"}`); code == 0 || !strings.Contains(stderr, `"code":404`) {
		t.Errorf("an unknown id: exit %d, %s", code, stderr)
	}
	m.stopsInOrder(t)
	if out := m.output(); strings.Contains(out, "level=") {
		t.Errorf("the demo of a healthy machine warns:\n%s", out)
	}
}
