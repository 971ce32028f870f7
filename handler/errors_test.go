package handler

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	merrors "go-micro.dev/v4/errors"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/changetest"
	"github.com/microhq/monitor-srv/monitor"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

func TestErrorsOfChangesHaveTheCodesOfREST(t *testing.T) {
	statuses := changetest.Statuses()
	statuses[badArgument("limit", "too big")] = 400
	statuses[store.ErrBadCursor] = 400
	statuses[store.ErrNotFound] = 404
	statuses[errors.New("anything else")] = 500
	for err, want := range statuses {
		e := merrors.FromError(rpcError(testkit.QuietLog(), fmt.Errorf("registering: %w", err)))
		if int(e.Code) != want || e.Id != errorID {
			t.Errorf("%v: got %d of %q, want %d", err, e.Code, e.Id, want)
		}
		if want == 500 && strings.Contains(e.Detail, "anything") {
			t.Errorf("the caller is told what is ours: %q", e.Detail)
		}
	}
	if err := rpcError(nil, nil); err != nil {
		t.Errorf("got %v for no error", err)
	}
}

func TestDefinitionsAreBoundedAsOverREST(t *testing.T) {
	m := monitored(t, nil)
	for size, want := range map[int]int32{monitor.MaxDefinition: 200, monitor.MaxDefinition + 1: 413} {
		definition := plainDefinition + strings.Repeat(" ", size-len(plainDefinition))
		if err := registering(definition)(m, as("operator-token-long")); statusOf(err) != want {
			t.Errorf("%d bytes: %v, want %d", size, err, want)
		}
	}
}

func TestRequestsThatCannotBeDecodedAreExplainedInPlainWords(t *testing.T) {
	p := serve(t, monitored(t, nil))
	const whole = "want a whole number from -9223372036854775808 to 9223372036854775807, have "
	for _, c := range []struct{ method, request, want string }{
		{"Monitors", `{"limit": 18446744073709551615}`, "limit: " + whole + "18446744073709551615"},
		{"Monitors", `{"limit": "x"}`, "limit: " + whole + `"x"`},
		{"Monitors", `{"offset": 1.5, "nosuch": 1}`, "offset: " + whole + "1.5"},
		{"Monitors", `{"name": 7}`, "name: want a string, have 7"},
		{"Monitors", `{"state": "LOUD"}`, `state: want one of UNKNOWN (0), OK (1), WARNING (2), FAILING (3), STOPPED (4), have "LOUD"`},
		{"Monitors", `{"nosuch": 1}`, `request: unknown field "nosuch"; known are id, name, limit, offset, state`},
		{"Monitors", `[1]`, "request: want a JSON object, have [1]"},
		{"Monitors", `{`, "request: reading the JSON: unexpected end of JSON input"},
		{"HealthChecks", `{"limit": -1}`, "limit: want a whole number from 0 to 18446744073709551615, have -1"},
		{"HealthChecks", `{"missing": "` + strings.Repeat("y", 100) + `"}`, `missing: want true or false, have "` + strings.Repeat("y", 39) + "..."},
		{"HealthChecks", `{"statuses": ["x"]}`, "statuses: want a list, each of it one of UNKNOWN (0), OK (1), ERROR (2), WARNING (3), have [\"x\"]"},
		{"Register", `{"definition": {"name": "a"}}`, `definition: want a string, have {"name": "a"}`},
	} {
		code, detail := answerOf(t, p, c.method, c.request, bearer("admin-token-long"))
		if code != 400 || detail != c.want {
			t.Errorf("%s %s: got %d %s, want 400 %s", c.method, c.request, code, detail, c.want)
		}
		if strings.Contains(detail, "Go value") {
			t.Errorf("%s: %s", c.request, detail)
		}
	}
}

// TestStuckMonitorsAreStoppedByRPCAtOnce has a target that takes connections and
// says nothing. The probe gives its connection back at once, and not only after its
// deadline of a minute.
// Faults: T53.
func TestStuckMonitorsAreStoppedByRPCAtOnce(t *testing.T) {
	t.Parallel() // it waits for its first probes, within ten seconds of a registration
	l := testkit.Listen(t)
	m := monitored(t, nil)
	p := serve(t, m)
	for i, method := range []string{"Stop", "Unregister"} {
		definition := fmt.Sprintf(`{"name": "m%d", "interval": 60, "timeout": 50, "probe": {"type": "tcp", "address": %q, "expect": "hello"}}`, i, l.Addr())
		registered := &monitorpb.RegisterResponse{}
		if err := m.Register(as("admin-token-long"), &monitorpb.RegisterRequest{Definition: definition}, registered); err != nil {
			t.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begin := time.Now()
		code, detail := answerOf(t, p, method, fmt.Sprintf(`{"id": %d}`, registered.Monitor.Id), bearer("operator-token-long"))
		if took := time.Since(begin); code != 200 || took > 2*time.Second {
			t.Errorf("%s: %d %s after %v, want 200 within 2s", method, code, detail, took)
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("%s: the connection of the probe is not given back: %v", method, err)
		}
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}
