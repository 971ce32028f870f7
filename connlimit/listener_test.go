package connlimit

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// port is an HTTP server whose handler blocks on /block and writes much on /much.
type port struct {
	places  *Places
	server  *http.Server
	address string
	hold    chan struct{}
	began   atomic.Int64
}

func serve(t *testing.T, limits Limits) *port {
	t.Helper()
	p := &port{places: NewPlaces(limits), hold: make(chan struct{})}
	p.server = &http.Server{Handler: p}
	l := p.places.Listen(testkit.Listen(t), func(string, func() []any) {})
	l.Attach(p.server)
	p.address = l.Addr().String()
	go func() { _ = p.server.Serve(l) }()
	t.Cleanup(func() { _ = p.server.Close() })
	return p
}

func (p *port) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn := Of(r)
	conn.Headed()
	_, _ = io.Copy(io.Discard, r.Body)
	conn.Serve()
	defer conn.Wait()
	p.began.Add(1)
	switch r.URL.Path {
	case "/block":
		<-p.hold
	case "/much":
		for range 1000 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}
}

// idlest returns the place that a newcomer would take.
func (p *port) idlest() *Place {
	p.places.mu.Lock()
	defer p.places.mu.Unlock()
	return p.places.victim(netip.Addr{}, false)
}

// open makes a connection and sends a text. It returns nil if the connection has given
// way already.
func (p *port) open(t *testing.T, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.address)
	if errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, _ = io.WriteString(conn, text)
	return conn
}

const (
	slowBody   = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
	slowHeader = "POST / HTTP/1.1\r\nHost"
	slowReader = "GET /much HTTP/1.1\r\nHost: x\r\n\r\n"
	blocked    = "GET /block HTTP/1.1\r\nHost: x\r\n\r\n"
)

// Faults: S5.
func TestSlowClientsOfAllKindsGiveWay(t *testing.T) {
	for name, text := range map[string]string{"idle": "", "header": slowHeader, "body": slowBody, "reader": slowReader} {
		t.Run(name, func(t *testing.T) {
			const limit = 5
			p := serve(t, Limits{Max: limit, Share: 1})
			for range 3 * limit {
				p.open(t, text)
			}
			testkit.Eventually(t, 10*time.Second, "ten have given way", func() bool { return p.places.State().Taken == 2*limit })
			resp, err := http.Get("http://" + p.address + "/")
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if s := p.places.State(); s.Held != limit || s.Refused != 0 || !s.Full {
				t.Errorf("got %+v", s)
			}
		})
	}
}

// A stop waits for calls, not for clients.
// Faults: S5.
func TestStopDoesNotWaitForSlowClients(t *testing.T) {
	p := serve(t, Limits{Max: 100, Share: 100})
	for range 5 {
		for _, text := range []string{"", slowHeader, slowBody, slowReader} {
			p.open(t, text)
		}
	}
	call := p.open(t, blocked)
	testkit.Eventually(t, 10*time.Second, "all are there", func() bool { return p.places.State().Held == 21 && p.began.Load() == 6 })
	stopped := make(chan error)
	go func() { stopped <- p.server.Shutdown(context.Background()) }()
	testkit.Eventually(t, 10*time.Second, "one is left", func() bool { return p.places.State().Held == 1 })
	close(p.hold)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	text, err := io.ReadAll(call)
	if want := "HTTP/1.1 200 OK"; err != nil || len(text) < len(want) || string(text[:len(want)]) != want {
		t.Errorf("the call in flight got %q, %v", text, err)
	}
}

func TestListenerServesNobodyBeyondItsPlaces(t *testing.T) {
	const limit = 2
	p := serve(t, Limits{Max: limit, Share: 1})
	for range limit {
		p.open(t, blocked)
	}
	testkit.Eventually(t, 10*time.Second, "all are served", func() bool { return p.began.Load() == limit })
	if conn, err := net.Dial("tcp", p.address); err == nil {
		_, _ = io.ReadAll(conn) // ends, with or without an error
		_ = conn.Close()
	}
	if s := p.places.State(); s.Refused != 1 || !s.Refusing {
		t.Errorf("got %+v, want one refused", s)
	}
	close(p.hold)
}

// A client that has had two answers relies on its connection. It may read the second one
// long before the server notes that the connection is idle.
// Faults: S5.
func TestConnectionIsInUseFromItsSecondRequestOn(t *testing.T) {
	p := serve(t, Limits{Max: 2, Share: 2})
	defer close(p.hold)
	p.open(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"+blocked)
	testkit.Eventually(t, 10*time.Second, "the second request is being served", func() bool { return p.began.Load() == 2 })
	p.places.mu.Lock()
	defer p.places.mu.Unlock()
	for o := range p.places.held {
		if uses := o.uses.Load(); uses != 2 {
			t.Errorf("%d requests are counted, want 2", uses)
		}
	}
}

// A client that has been idle for long and begins to send is not the longest idle.
func TestClientThatSendsWaitsAnew(t *testing.T) {
	const limit = 2
	p := serve(t, Limits{Max: limit, Share: limit})
	first := p.open(t, "")
	testkit.Eventually(t, 10*time.Second, "one is there", func() bool { return p.places.State().Held == 1 })
	idle := p.idlest()
	second := p.open(t, "")
	_ = second.SetReadDeadline(time.Now().Add(10 * time.Second))
	testkit.Eventually(t, 10*time.Second, "both are there", func() bool { return p.places.State().Held == limit })
	_, _ = io.WriteString(first, slowBody)
	testkit.Eventually(t, 10*time.Second, "the other one is the longest idle", func() bool { return p.idlest() != idle })
	p.open(t, "")
	if _, err := second.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the other one has not given way: %v", err)
	}
}
