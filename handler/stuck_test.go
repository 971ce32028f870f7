package handler

import (
	"fmt"
	"net"
	"testing"
	"time"

	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
)

// TestStuckMonitorsAreStoppedByRPCAtOnce has a target that takes connections and
// says nothing. The probe gives its connection back at once, and not only after its
// deadline of a minute.
// Faults: T53.
func TestStuckMonitorsAreStoppedByRPCAtOnce(t *testing.T) {
	t.Parallel() // it waits for its first probes, within ten seconds of a registration
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
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
		code, detail := p.status(t, method, fmt.Sprintf(`{"id": %d}`, registered.Monitor.Id), bearer("operator-token-long"))
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
