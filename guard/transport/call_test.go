package transport_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/errors"
	"go-micro.dev/v4/server"
	"go-micro.dev/v4/transport"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// In stock, nobody answers when a handler panics.
// Faults: Trap15.
func TestPanicsOfHandlersAreAnswered(t *testing.T) {
	testkit.NoLeaks(t)
	quiet := testkit.QuietLog()
	for name, c := range map[string]struct {
		wrap   []server.Option
		status int
		want   guardtransport.Counters
	}{
		"bare":    {nil, 500, guardtransport.Counters{Unanswered: 3}},
		"Recover": {[]server.Option{server.WrapHandler(guardtransport.Recover(quiet))}, 200, guardtransport.Counters{Unanswered: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			s, tr := serveGuarded(t, guardtransport.Config{}, c.wrap...)
			start := time.Now()
			got := post(t, s.addr, endpointHeader("Panic"), strings.NewReader("{}"))
			e := errors.Parse(got.header.Get("Micro-Error"))
			if got.status != c.status || e.GetCode() != 500 || strings.Contains(e.GetDetail(), "inner detail") {
				t.Errorf("got %+v, want status %d and a 500 without detail", got, c.status)
			}
			if _, err := callProbe(newClient(t), s.addr, "Panic", ""); errors.FromError(err).GetCode() != 500 {
				t.Errorf("the stock client got error %v, want a 500", err)
			}
			if got := post(t, s.addr, endpointHeader("Vanish"), strings.NewReader("{}")); got.status != 500 {
				t.Errorf("got %+v from a handler that vanished, want 500", got)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("three answers took %v", took)
			}
			if got := tr.Counters(); got.Unanswered != c.want.Unanswered {
				t.Errorf("got %d unanswered, want %d", got.Unanswered, c.want.Unanswered)
			}
			if rsp, err := callProbe(newClient(t), s.addr, "Echo", "on"); err != nil || rsp.GetCursor() != "on" {
				t.Errorf("got %v and error %v after the panics", rsp, err)
			}
		})
	}
}

// Faults: Trap15.
func TestTimeoutHeaderIsObeyed(t *testing.T) {
	testkit.NoLeaks(t)
	s, tr := serveGuarded(t, guardtransport.Config{}, server.WrapHandler(guardtransport.Recover(nil)))
	defer close(s.probe.hold)
	header := endpointHeader("Block")
	header["Timeout"] = "200000000"
	start := time.Now()
	got := post(t, s.addr, header, strings.NewReader("{}"))
	if took := time.Since(start); got.status != http.StatusRequestTimeout || errors.Parse(got.body).GetCode() != 408 || took < 200*time.Millisecond || took > 5*time.Second {
		t.Errorf("got %+v after %v, want 408 after 0.2 s", got, took)
	}
	c := newClient(t)
	short := func(o *client.CallOptions) { o.ConnectionTimeout = 200 * time.Millisecond }
	if _, err := callProbe(c, s.addr, "Obey", "", short); errors.FromError(err).GetCode() != 408 {
		t.Errorf("got error %v, want 408", err)
	}
	header = endpointHeader("Obey")
	header["Timeout"] = "200000000"
	if got := post(t, s.addr, header, strings.NewReader("{}")); got.header.Get("Micro-Error") != "context deadline exceeded" {
		t.Errorf("got %+v, want the handler's own words", got)
	}
	if got := tr.Counters(); got.Expired != 1 || got.InFlight != 1 {
		t.Errorf("got %+v, want 1 expired and still running", got)
	}
}

// No caller has a handler run for longer than WriteTimeout, and a handler that
// runs for longer than a request may take does not harm its connection.
// Faults: Trap15.
func TestWriteTimeoutBoundsHandlers(t *testing.T) {
	testkit.SkipIfShort(t)
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{
		HeaderTimeout: 100 * time.Millisecond, BodyTimeout: 100 * time.Millisecond, WriteTimeout: 500 * time.Millisecond,
	}, server.WrapHandler(guardtransport.Recover(nil)))
	conn, in := dial(t, s.addr)
	for _, timeout := range []string{"", "Timeout: 0\r\n", "Timeout: -1\r\n", "Timeout: soon\r\n", "Timeout: 3600000000000\r\n", "Timeout: 99999999999999999999\r\n"} {
		start := time.Now()
		if _, err := io.WriteString(conn, strings.Replace(wireCall("Obey", "1", `{"cursor":"fine"}`), "Micro-Id", timeout+"Micro-Id", 1)); err != nil {
			t.Fatal(err)
		}
		got, err := readAnswer(in)
		if took := time.Since(start); err != nil || got.body != `{"cursor":"fine"}`+"\n" || took < 500*time.Millisecond || took > 5*time.Second {
			t.Fatalf("%q: got %+v and error %v after %v, want an answer after 0.5 s", timeout, got, err, took)
		}
	}
}

// Two answers, none, a panic and a second look at the request, as no go-micro
// server does them but another might.
func TestTransportSocket(t *testing.T) {
	testkit.NoLeaks(t)
	for name, c := range map[string]struct {
		serve  func(t *testing.T, s transport.Socket)
		status int
		body   string
	}{
		"twice": {func(t *testing.T, s transport.Socket) {
			if err := s.Send(&transport.Message{Body: []byte("first")}); err != nil {
				t.Error(err)
			}
			if err := s.Send(&transport.Message{Body: []byte("second")}); err == nil {
				t.Error("the second answer was taken")
			}
		}, 200, "first"},
		"none":  {func(*testing.T, transport.Socket) {}, 500, "the service did not answer"},
		"panic": {func(*testing.T, transport.Socket) { panic("inner detail") }, 500, "the service did not answer"},
		"again": {func(t *testing.T, s transport.Socket) {
			var first, second transport.Message
			if err := s.Recv(&first); err != nil || string(first.Body) != "{}" || first.Header["Micro-Endpoint"] != "Probe.Echo" {
				t.Errorf("got %v and error %v", first, err)
			}
			if err := s.Recv(&second); err != io.EOF {
				t.Errorf("got error %v from the second Recv, want EOF", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			_ = s.Send(&transport.Message{Header: map[string]string{"Content-Length": "1", "Transfer-Encoding": "chunked", "X-Mine": "yes"}, Body: []byte(s.Local())})
		}, 200, "127.0.0.1:"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, _ := accept(t, guardtransport.Config{Log: testkit.QuietLog()}, func(s transport.Socket) { c.serve(t, s) })
			got := post(t, addr, endpointHeader("Echo"), strings.NewReader("{}"))
			if got.status != c.status || !strings.Contains(got.body, c.body) || strings.Contains(got.body, "inner detail") {
				t.Errorf("got %+v, want %d with %q", got, c.status, c.body)
			}
			if name == "again" && got.header.Get("X-Mine") != "yes" {
				t.Errorf("got header %v, want the handler's own", got.header)
			}
		})
	}
}

// In stock, any request with a Micro-Topic header is an event.
// Faults: T68.
func TestTransportRefusesEvents(t *testing.T) {
	testkit.NoLeaks(t)
	var log testkit.LogBuffer
	s, tr := serveGuarded(t, guardtransport.Config{Log: testkit.InfoTo(&log)})
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

// Handlers learn whom the caller believes to speak to, and nobody else does.
// Faults: T70.
func TestHandlersLearnTheHost(t *testing.T) {
	testkit.NoLeaks(t)
	heard := make(chan map[string]string, 1)
	addr, _ := accept(t, guardtransport.Config{Log: testkit.QuietLog()}, func(s transport.Socket) {
		var m transport.Message
		if err := s.Recv(&m); err != nil {
			t.Error(err)
		}
		heard <- m.Header
		_ = s.Send(&m)
	})
	header := endpointHeader("Echo")
	header["Origin"], header["Sec-Fetch-Site"] = "http://evil.example", "cross-site"
	got := post(t, addr, header, strings.NewReader("{}"))
	if h := <-heard; h["Host"] != addr || h["Origin"] != "http://evil.example" || h["Sec-Fetch-Site"] != "cross-site" {
		t.Errorf("the handler got %v", h)
	}
	for _, key := range []string{"Host", "Origin", "Sec-Fetch-Site"} {
		if v := got.header.Get(key); v != "" {
			t.Errorf("the answer has %s: %s", key, v)
		}
	}
}
