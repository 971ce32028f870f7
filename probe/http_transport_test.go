package probe

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// The test counts the connections of several probes.
func TestHTTPTransportReusesItsConnection(t *testing.T) {
	var conns atomic.Int32
	var answer atomic.Pointer[func(http.ResponseWriter, *http.Request)]
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	for name, c := range map[string]struct {
		handle func(http.ResponseWriter, *http.Request)
		keys   string
		want   int32
	}{
		"length":         {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "1") }, "parse = true", 1},
		"chunked":        {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); io.WriteString(w, "1") }, "parse = true", 1},
		"empty":          {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "", 1},
		"head":           {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "10") }, `method = "HEAD"`, 1},
		"bad status":     {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }, `expect_status = "500"`, 1},
		"closing":        {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }, "", 5},
		"not repeatable": {func(http.ResponseWriter, *http.Request) {}, `method = "POST"`, 5},
		"too large":      {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 3<<20)) }, "", 5},
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
