package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// counted starts a server and counts its connections, and those that are open.
func counted(tb testing.TB, start func(*httptest.Server), handle http.HandlerFunc) (s *httptest.Server, opened, open *atomic.Int32) {
	tb.Helper()
	opened, open = new(atomic.Int32), new(atomic.Int32)
	s = httptest.NewUnstartedServer(handle)
	s.Config.ErrorLog = quietLog()
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened.Add(1)
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
	start(s)
	tb.Cleanup(s.Close)
	return s, opened, open
}

// protocols are the ways to start a server that counted takes.
func protocols() map[string]func(*httptest.Server) {
	return map[string]func(*httptest.Server){
		"HTTP/1.1": (*httptest.Server).Start,
		"HTTP/2": func(s *httptest.Server) {
			s.TLS = &tls.Config{NextProtos: []string{"h2"}}
			s.EnableHTTP2 = true
			s.StartTLS()
		},
	}
}

const anyCertificate = `tls = { insecure_skip_verify = true }`

// transportOf returns the transport of an http probe.
func transportOf(p Probe) *httpTransport { return p.(*checkedProbe).kind.(*httpProbe).transport }

// settle waits until http.Transport is done with the connection of a probe that has
// just ended, as it is long before the next one in practice.
func settle(tb testing.TB, p Probe) {
	tb.Helper()
	testkit.Eventually(tb, 5*time.Second, "the connection is idle or closed", func() bool {
		for _, c := range transportOf(p).list() {
			if !c.reading.Load() {
				return false
			}
		}
		return true
	})
}

// endsSoon waits for a value of ended or for its end.
func endsSoon(t *testing.T, ended <-chan struct{}, otherwise string) {
	t.Helper()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error(otherwise)
	}
}

// A black hole must not be asked for longer than the probe waits for it: for as long as
// the system tries, 127 seconds.
func TestDialEndsWithItsProbe(t *testing.T) {
	for name, url := range map[string]string{"http": "http://blackhole.example/", "https": "https://blackhole.example/"} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			env := Env{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				if _, ok := ctx.Deadline(); !ok {
					t.Error("the dial does not know when its probe ends")
				}
				<-ctx.Done()
				close(ended)
				return nil, ctx.Err()
			}}
			timesOut(t, build(t, "http", "url = "+strconv.Quote(url), env))
			endsSoon(t, ended, "the dial goes on after its probe")
		})
	}
}

// The dial succeeds when its probe has failed.
func TestConnectionOpenedTooLateIsClosed(t *testing.T) {
	for name, start := range protocols() {
		t.Run(name, func(t *testing.T) {
			s, opened, open := counted(t, start, func(http.ResponseWriter, *http.Request) {})
			late := make(chan struct{})
			env := Env{Dial: func(context.Context, string, string) (net.Conn, error) {
				<-late
				return net.Dial("tcp", s.Listener.Addr().String())
			}}
			timesOut(t, build(t, "http", "url = "+strconv.Quote(s.URL)+"\n"+anyCertificate, env))
			close(late)
			testkit.Eventually(t, 5*time.Second, "the connection was opened and is closed", func() bool {
				return opened.Load() == 1 && open.Load() == 0
			})
		})
	}
}

// Each step that may hang has a peer that is silent from there on, and that must see
// the end of the connection.
func TestNothingOfAFailedProbeStaysOpen(t *testing.T) {
	ended := make(chan struct{}, 10)
	serve := func(first string) string {
		return testkit.ServeConns(t, func(c net.Conn) {
			if first != "" {
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, first)
			}
			_, _ = io.Copy(io.Discard, c)
			ended <- struct{}{}
		})
	}
	silent := serve("")
	for name, keys := range map[string]string{
		"answer":           fmt.Sprintf("url = %q", "http://"+silent),
		"handshake":        fmt.Sprintf("url = %q", "https://"+silent),
		"body":             fmt.Sprintf("url = %q", "http://"+serve("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")),
		"proxy":            fmt.Sprintf("url = \"https://far.example/\"\nproxy = %q", "http://"+silent),
		"behind the proxy": fmt.Sprintf("url = \"https://far.example/\"\nproxy = %q", "http://"+serve("HTTP/1.1 200 OK\r\n\r\n")),
		"proxy over TLS":   fmt.Sprintf("url = \"http://far.example/\"\nproxy = %q", "https://"+silent),
	} {
		t.Run(name, func(t *testing.T) {
			timesOut(t, build(t, "http", keys, Env{}))
			endsSoon(t, ended, "the connection stays open after the probe")
		})
	}
}

// After a fail-over, a kept connection would lead to the old target for as long as it
// does not answer at all.
func TestFailedProbeDropsItsConnection(t *testing.T) {
	for name, start := range protocols() {
		t.Run(name, func(t *testing.T) {
			var hang atomic.Bool
			s, opened, open := counted(t, start, func(_ http.ResponseWriter, r *http.Request) {
				if hang.Load() {
					<-r.Context().Done()
				}
			})
			p := httpProbeOf(t, s.URL, anyCertificate)
			for range 3 {
				ok(t, p)
				settle(t, p)
			}
			if n := opened.Load(); n != 1 {
				t.Fatalf("%d connections for 3 good probes, want 1", n)
			}
			hang.Store(true)
			timesOut(t, p)
			testkit.Eventually(t, 5*time.Second, "the connection is closed", func() bool { return open.Load() == 0 })
			hang.Store(false)
			ok(t, p)
			if n := opened.Load(); n != 2 {
				t.Errorf("%d connections, want a second one after the failure", n)
			}
		})
	}
}

func TestConnectionsAreReplacedOnceAMinute(t *testing.T) {
	for name, start := range protocols() {
		t.Run(name, func(t *testing.T) {
			s, opened, open := counted(t, start, func(http.ResponseWriter, *http.Request) {})
			p := httpProbeOf(t, s.URL, anyCertificate)
			for _, c := range []struct {
				age  time.Duration
				want int32
			}{{0, 1}, {ageLimit - 10*time.Second, 1}, {ageLimit, 2}} {
				for _, conn := range transportOf(p).list() {
					conn.opened = time.Now().Add(-c.age)
				}
				ok(t, p)
				settle(t, p)
				if n := opened.Load(); n != c.want {
					t.Errorf("%d connections at the age of %v, want %d", n, c.age, c.want)
				}
			}
			testkit.Eventually(t, 5*time.Second, "the old connection is closed", func() bool { return open.Load() == 1 })
		})
	}
}

func TestConnectionIsKeptForShortIntervalsOnly(t *testing.T) {
	for name, start := range protocols() {
		limit := plainIdleLimit
		if name == "HTTP/2" {
			limit = idleLimit
		}
		for interval, want := range map[time.Duration]int32{limit - 1: 1, limit: 3, time.Hour: 3} {
			t.Run(fmt.Sprint(name, " ", interval), func(t *testing.T) {
				s, opened, open := counted(t, start, func(http.ResponseWriter, *http.Request) {})
				p := build(t, "http", "url = "+strconv.Quote(s.URL)+"\n"+anyCertificate, Env{Interval: interval})
				for range 3 {
					ok(t, p)
					settle(t, p)
				}
				if n := opened.Load(); n != want {
					t.Errorf("%d connections for 3 probes, want %d", n, want)
				}
				kept := int32(0)
				if want == 1 {
					kept = 1
				}
				testkit.Eventually(t, 5*time.Second, "what is not kept is closed", func() bool { return open.Load() == kept })
			})
		}
	}
}

func TestKeptConnectionIsSmall(t *testing.T) {
	const probes, limit = 300, 20 << 10 * raceFactor
	url := otherProcess(t)
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	list := make([]Probe, probes)
	for i := range list {
		list[i] = httpProbeOf(t, url)
	}
	before := used()
	for _, p := range list {
		ok(t, p)
	}
	if each := int64(used()-before) / probes; each > limit {
		t.Errorf("%d bytes for each kept connection, want at most %d", each, limit)
	}
}

// A request that changes something is never sent twice.
func TestHTTPTransportReusesItsConnection(t *testing.T) {
	var answer atomic.Pointer[func(http.ResponseWriter, *http.Request)]
	s, conns, _ := counted(t, (*httptest.Server).Start, func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) })
	nothing := func(http.ResponseWriter, *http.Request) {}
	for name, c := range map[string]struct {
		handle func(http.ResponseWriter, *http.Request)
		keys   string
		want   int32
	}{
		"length":     {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "1") }, "parse = true", 1},
		"chunked":    {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); io.WriteString(w, "1") }, "parse = true", 1},
		"empty":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "", 1},
		"head":       {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "10") }, `method = "HEAD"`, 1},
		"options":    {nothing, `method = "OPTIONS"`, 1},
		"bad status": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }, `expect_status = "500"`, 1},
		"closing":    {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }, "", 5},
		"post":       {nothing, `method = "POST"`, 5},
		"patch":      {nothing, `method = "PATCH"`, 5},
		"put":        {nothing, `method = "PUT"`, 5},
		"delete":     {nothing, `method = "DELETE"`, 5},
		"too large":  {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 3<<20)) }, "", 5},
	} {
		t.Run(name, func(t *testing.T) {
			answer.Store(&c.handle)
			conns.Store(0)
			p := httpProbeOf(t, s.URL, c.keys)
			for range 5 {
				_, err := run(t, p, 10*time.Second)
				if (err != nil) != (name == "too large") {
					t.Fatal(err)
				}
				settle(t, p)
			}
			if got := conns.Load(); got != c.want {
				t.Errorf("%d connections for 5 probes, want %d", got, c.want)
			}
		})
	}
}

// The server closes each connection after its response without announcing it.
func TestHTTPTransportSurvivesServersThatCloseIdleConnections(t *testing.T) {
	for name, closeEarly := range map[string]bool{"before the next request": true, "as the next request arrives": false} {
		t.Run(name, func(t *testing.T) {
			var conns atomic.Int32
			closed := make(chan struct{}, 100)
			address := testkit.ServeConns(t, func(c net.Conn) {
				conns.Add(1)
				br := bufio.NewReader(c)
				if _, err := http.ReadRequest(br); err != nil {
					return
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n5")
				if !closeEarly {
					br.ReadByte() // the next request has begun
				}
				c.Close()
				closed <- struct{}{}
			})
			p := httpProbeOf(t, "http://"+address, "parse = true")
			for range 5 {
				if r := ok(t, p); r.Value != 5 {
					t.Fatalf("value %v, want 5", r.Value)
				}
				if closeEarly {
					<-closed
				}
			}
			if n := conns.Load(); n != 5 {
				t.Errorf("%d connections, want 5", n)
			}
		})
	}
}

// The server sends more bytes after its response was read.
func TestHTTPTransportIgnoresLateUnsolicitedBytes(t *testing.T) {
	taken, late := make(chan struct{}), make(chan struct{})
	address := testkit.ServeConns(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n5")
		<-taken
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n6")
		late <- struct{}{}
		io.Copy(io.Discard, c)
	})
	p := httpProbeOf(t, "http://"+address, "parse = true")
	for range 5 {
		if r := ok(t, p); r.Value != 5 {
			t.Fatalf("value %v, want 5: the answer to nobody's request was taken", r.Value)
		}
		taken <- struct{}{}
		<-late
	}
}

// The server sends more bytes than its response.
func TestHTTPTransportIgnoresUnsolicitedBytes(t *testing.T) {
	address := testkit.ServeConns(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n5HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n6")
		}
	})
	p := httpProbeOf(t, "http://"+address, "parse = true")
	for range 10 {
		if r := ok(t, p); r.Value != 5 {
			t.Fatalf("value %v, want 5: the answer to nobody's request was taken", r.Value)
		}
	}
}

// A connection is reused only while http.Transport waits for more of it: otherwise it
// holds what it has read already.
func TestConnectionWithUnreadBytesIsNotReusable(t *testing.T) {
	address := testkit.SilentServer(t)
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := &httpConn{Conn: raw, opened: time.Now(), forget: func(*httpConn) {}, asked: make(chan struct{})}
	if c.reusable() {
		t.Error("a connection that nobody reads is reusable")
	}
	ended := make(chan struct{})
	go func() { defer close(ended); c.Read(make([]byte, 1)) }()
	io.WriteString(c, "x")
	testkit.Eventually(t, 5*time.Second, "a connection that is read is reusable", c.reusable)
	c.Close()
	<-ended
	if c.reusable() {
		t.Error("a closed connection is reusable")
	}
}

// The redirect is followed by an answer to the next request, which was not sent yet.
// Whether http.Transport notices it in time is a matter of chance, so that the request
// must come over another connection.
func TestLeftoverOfARedirectIsNoAnswer(t *testing.T) {
	s, opened, _ := counted(t, (*httptest.Server).Start, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/next", http.StatusFound)
		}
	})
	ok(t, httpProbeOf(t, s.URL))
	if n := opened.Load(); n != 2 {
		t.Errorf("%d connections for a redirect, want 2", n)
	}
	address := testkit.ServeConns(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			answer := "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n5"
			if r.URL.Path == "/" {
				answer = "HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n6"
			}
			io.WriteString(c, answer)
		}
	})
	p := httpProbeOf(t, "http://"+address, "parse = true")
	for range 50 {
		if r := ok(t, p); r.Value != 5 {
			t.Fatalf("value %v, want 5: the answer to nobody's request was taken", r.Value)
		}
	}
}
