package transport_test

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go-micro.dev/v4/transport"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// Faults: T66.
func TestHalfOpenConnectionsAreClosed(t *testing.T) {
	testkit.NoLeaks(t)
	s, tr := serveGuarded(t, guardtransport.Config{HeaderTimeout: time.Second})
	var wg sync.WaitGroup
	for i := range 500 {
		conn, in := dial(t, s.addr)
		start := time.Now()
		if i%2 == 0 {
			if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nMicro-"); err != nil {
				t.Fatal(err)
			}
		}
		wg.Go(func() {
			_, err := io.Copy(io.Discard, in)
			if took := time.Since(start); err != nil || took < 900*time.Millisecond || took > 5*time.Second {
				t.Errorf("connection %d ended with %v after %v, want its end after 1 s", i, err, took)
			}
		})
	}
	if rsp, err := callProbe(newClient(t), s.addr, "Echo", "still here"); err != nil || rsp.GetCursor() != "still here" {
		t.Errorf("got %v and error %v while 500 connections are half open", rsp, err)
	}
	wg.Wait()
	// The connection of the client is idle.
	testkit.Eventually(t, 10*time.Second, "all are closed and counted", func() bool {
		c := tr.Counters()
		return c.OpenConns == 1 && c.BrokenHeaders == 250
	})
}

// Faults: T66.
func TestSlowBodiesAreClosed(t *testing.T) {
	testkit.NoLeaks(t)
	s, tr := serveGuarded(t, guardtransport.Config{HeaderTimeout: 200 * time.Millisecond, BodyTimeout: 300 * time.Millisecond})
	for name, head := range map[string]string{
		"announced":  "Content-Length: 1000\r\n\r\n{",
		"long":       "Content-Length: 100000\r\n\r\n{",
		"chunked":    "Transfer-Encoding: chunked\r\n\r\n3e8\r\n{",
		"unexpected": "Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n",
	} {
		conn, in := dial(t, s.addr)
		start := time.Now()
		if _, err := io.WriteString(conn, echoHead+head); err != nil {
			t.Fatal(err)
		}
		got, err := readAnswer(in)
		if name == "unexpected" && got.status == http.StatusContinue {
			got, err = readAnswer(in)
		}
		if err != nil || got.status != http.StatusRequestTimeout {
			t.Errorf("%s: got %+v and error %v, want 408", name, got, err)
		}
		if _, err := in.ReadByte(); err == nil {
			t.Errorf("%s: the connection goes on", name)
		}
		if took := time.Since(start); took < 400*time.Millisecond || took > 5*time.Second {
			t.Errorf("%s: ended after %v, want 0.5 s", name, took)
		}
	}
	if got := tr.Counters(); got.RefusedBodies != 4 || got.InFlight != 0 {
		t.Errorf("got %+v, want 4 refused bodies", got)
	}
}

// A slow body of a request that is refused anyway does not delay the refusal.
// Faults: T66.
func TestRefusalsDoNotWaitForBodies(t *testing.T) {
	refusedAtOnce(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n", http.StatusUnsupportedMediaType, 2*time.Second)
}

// A caller that does not read its answer holds a connection for WriteTimeout.
// Faults: Trap10.
func TestCallersThatDoNotReadAreClosed(t *testing.T) {
	testkit.NoLeaks(t)
	big := make([]byte, 32<<20)
	addr, tr := accept(t, guardtransport.Config{WriteTimeout: 300 * time.Millisecond}, func(s transport.Socket) {
		_ = s.Send(&transport.Message{Body: big})
	})
	conn, _ := dial(t, addr)
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, wireCall("Echo", "1", "{}")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, "the call began", func() bool { return tr.Counters().Requests == 1 })
	testkit.Eventually(t, 10*time.Second, "the connection is closed", func() bool { return tr.Counters().OpenConns == 0 })
}

// An idle connection is closed after IdleTimeout, and not before.
// Faults: Trap10.
func TestIdleConnectionsAreClosed(t *testing.T) {
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{HeaderTimeout: 100 * time.Millisecond, BodyTimeout: 100 * time.Millisecond, IdleTimeout: 600 * time.Millisecond})
	conn, in := dial(t, s.addr)
	if _, err := io.WriteString(conn, wireCall("Echo", "1", "{}")); err != nil {
		t.Fatal(err)
	}
	if got, err := readAnswer(in); err != nil || got.status != 200 {
		t.Fatalf("got %+v and error %v", got, err)
	}
	start := time.Now()
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
	if took := time.Since(start); took < 500*time.Millisecond || took > 5*time.Second {
		t.Errorf("closed after %v, want 0.6 s", took)
	}
}
