package transport_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/transport"
	mtls "go-micro.dev/v4/util/tls"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// listen opens a port with its own handler of calls, and returns its
// listener and a channel that gets what Accept returns.
func listen(tb testing.TB, tr *guardtransport.Transport, serve func(transport.Socket)) (transport.Listener, chan error) {
	tb.Helper()
	l, err := tr.Listen("127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() { accepted <- l.Accept(serve) }()
	return l, accepted
}

// accept does that for the time of a test.
func accept(tb testing.TB, cfg guardtransport.Config, serve func(transport.Socket)) (addr string, tr *guardtransport.Transport) {
	tb.Helper()
	tr = guardtransport.New(cfg)
	l, accepted := listen(tb, tr, serve)
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
		if err := <-accepted; err != nil {
			tb.Error(err)
		}
	})
	return l.Addr(), tr
}

// In stock, a stop cuts calls in flight, or if told to wait takes new ones
// meanwhile and waits for ever.
// Faults: Trap11.
func TestStopCompletesCallsInFlight(t *testing.T) {
	testkit.NoLeaks(t)
	s, tr := serveGuarded(t, guardtransport.Config{})
	c := newClient(t)
	if _, err := callProbe(c, s.addr, "Echo", ""); err != nil {
		t.Fatal(err)
	}
	answered := make(chan string, 1)
	go func() {
		rsp, err := callProbe(c, s.addr, "Block", "in flight")
		if err != nil {
			t.Error(err)
		}
		answered <- rsp.GetCursor()
	}()
	<-s.probe.began
	stopped := make(chan error, 1)
	go func() { stopped <- s.srv.Stop() }()
	testkit.Eventually(t, 10*time.Second, "the port is closed", func() bool { return isClosed(s.addr) })
	if _, err := callProbe(c, s.addr, "Echo", ""); err == nil {
		t.Error("a new call was taken during the stop")
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped with %v while a call is in flight", err)
	default:
	}
	close(s.probe.hold)
	if got := <-answered; got != "in flight" {
		t.Errorf("got answer %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if got := tr.Counters(); got.InFlight != 0 || got.OpenConns != 0 {
		t.Errorf("got %+v after the stop", got)
	}
}

// Faults: Trap11.
func TestStuckCallsDelayAStopByABoundedTime(t *testing.T) {
	testkit.NoLeaks(t)
	hold := make(chan struct{})
	began := make(chan struct{})
	tr := guardtransport.New(guardtransport.Config{DrainTimeout: 300 * time.Millisecond, Log: testkit.QuietLog()})
	l, accepted := listen(t, tr, func(transport.Socket) {
		began <- struct{}{}
		<-hold
	})
	conn, in := dial(t, l.Addr())
	if _, err := io.WriteString(conn, wireCall("Block", "1", "{}")); err != nil {
		t.Fatal(err)
	}
	<-began
	start := time.Now()
	err := l.Close()
	if took := time.Since(start); took < 300*time.Millisecond || took > 3*time.Second {
		t.Errorf("Close took %v, want 0.3 s", took)
	}
	if err == nil || !strings.Contains(err.Error(), "1 calls took longer than 300ms and were interrupted") || !strings.Contains(err.Error(), l.Addr()) {
		t.Errorf("got error %v, want one that tells what was cut", err)
	}
	if _, err := in.ReadByte(); err == nil {
		t.Error("the call in flight goes on")
	}
	if again := l.Close(); again == nil || again.Error() != err.Error() {
		t.Errorf("the second Close returned %v, want %v", again, err)
	}
	if err := <-accepted; err != nil {
		t.Errorf("Accept returned %v", err)
	}
	close(hold)
	testkit.Eventually(t, 10*time.Second, "the stuck call is gone", func() bool { return tr.Counters().InFlight == 0 })
}

// Connections that never asked anything have nothing to lose, and would delay a
// stop by 5 s.
// Faults: Trap11.
func TestStopDoesNotWaitForSilentConnections(t *testing.T) {
	testkit.NoLeaks(t)
	tr := guardtransport.New(guardtransport.Config{})
	l, accepted := listen(t, tr, func(transport.Socket) {})
	for i := range 20 {
		conn, _ := dial(t, l.Addr())
		if _, err := io.WriteString(conn, "POST / HT"[:i%10]); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, 10*time.Second, "the connections are taken", func() bool { return tr.Counters().OpenConns == 20 })
	start := time.Now()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("Close took %v", took)
	}
	if err := <-accepted; err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, 10*time.Second, "all are closed", func() bool { return tr.Counters().OpenConns == 0 })
}

// newListener returns a listener that accepts nothing yet.
func newListener(t *testing.T) (*guardtransport.Transport, transport.Listener) {
	t.Helper()
	tr := guardtransport.New(guardtransport.Config{})
	l, err := tr.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return tr, l
}

func TestTransportCloseInAnyOrder(t *testing.T) {
	testkit.NoLeaks(t)
	tr, l := newListener(t)
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if !isClosed(l.Addr()) {
		t.Error("the port is open after Close without Accept")
	}
	if err := l.Accept(func(transport.Socket) {}); err != nil {
		t.Errorf("Accept after Close returned %v, want nil", err)
	}
	again, err := tr.Listen(l.Addr())
	if err != nil {
		t.Fatalf("the port cannot be opened again: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestTransportSpeaksTLS(t *testing.T) {
	testkit.NoLeaks(t)
	cert, err := mtls.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	for name, c := range map[string]struct {
		server transport.Option
		client *tls.Config
	}{
		"configured":  {transport.TLSConfig(&tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}), &tls.Config{RootCAs: roots}},
		"self-signed": {transport.Secure(true), &tls.Config{InsecureSkipVerify: true}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := guardtransport.New(guardtransport.Config{Log: testkit.QuietLog()})
			if err := tr.Init(c.server); err != nil {
				t.Fatal(err)
			}
			s := serve(t, tr)
			stock := newClient(t, client.Transport(transport.NewHTTPTransport(transport.TLSConfig(c.client))))
			if rsp, err := callProbe(stock, s.addr, "Echo", "hello"); err != nil || rsp.GetCursor() != "hello" {
				t.Errorf("got %v and error %v, want hello", rsp, err)
			}
			if _, err := callProbe(newClient(t), s.addr, "Echo", ""); err == nil {
				t.Error("a call in clear text was answered")
			}
			h2 := &http.Transport{TLSClientConfig: c.client.Clone(), ForceAttemptHTTP2: true, DisableKeepAlives: true}
			rsp, err := (&http.Client{Transport: h2}).Get("https://" + s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer rsp.Body.Close()
			if rsp.StatusCode != 405 || rsp.ProtoMajor != 1 {
				t.Errorf("got %s over %s, want 405 over HTTP/1.1", rsp.Status, rsp.Proto)
			}
		})
	}
}

func TestTransportListenErrors(t *testing.T) {
	testkit.NoLeaks(t)
	tr, first := newListener(t)
	defer first.Close()
	if _, err := tr.Listen(first.Addr()); err == nil || !strings.Contains(err.Error(), `listening on "`+first.Addr()+`"`) {
		t.Errorf("got error %v for an address in use", err)
	}
	if _, err := tr.Listen("127.0.0.1:0", transport.NetListener(testkit.Listen(t))); err == nil || !strings.Contains(err.Error(), "transport.NetListener") {
		t.Errorf("got error %v, want one about NetListener", err)
	}
}
