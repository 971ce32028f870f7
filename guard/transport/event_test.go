package transport_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// In stock, any request with a Micro-Topic header is an event.
// Faults: T68.
func TestTransportRefusesEvents(t *testing.T) {
	testkit.NoLeaks(t)
	var log testkit.LogBuffer
	s, tr := serveGuarded(t, guardtransport.Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, header := range []map[string]string{
		{"Micro-Topic": "sample.topic"},
		{"micro-topic": "sample.topic", "Micro-Id": "1"},
		{"X-Micro-Topic": "sample.topic"},
		{"Micro-Topic": "sample.topic", "Micro-Endpoint": "Probe.Echo"},
		{"Micro-Topic": "sample.topic", "Micro-Service": "go.micro.srv.sample", "Micro-Protocol": "mucp"},
	} {
		header["Content-Type"] = "application/protobuf"
		if got := post(t, s.addr, header, bytes.NewReader(newEvent(t, "forged").Body)); got.status != http.StatusForbidden {
			t.Errorf("%v: got %+v, want 403", header, got)
		}
	}
	select {
	case id := <-s.events:
		t.Errorf("the event handler was invoked for %q", id)
	default:
	}
	if got := strings.Count(log.String(), "\n"); got != 1 {
		t.Errorf("got %d lines in the log, want 1:\n%s", got, log.String())
	}
	if got := tr.Counters().RefusedOther; got != 5 {
		t.Errorf("got %d refused, want 5", got)
	}
}

// The test above would also pass if no event ever reached the handler.
// Faults: T68.
func TestEventHandlerOfTheTransportTestWorks(t *testing.T) {
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{})
	if err := s.srv.Options().Broker.Publish("sample.topic", newEvent(t, "real")); err != nil {
		t.Fatal(err)
	}
	if got := <-s.events; got != "real" {
		t.Errorf("got event %q, want real", got)
	}
}
