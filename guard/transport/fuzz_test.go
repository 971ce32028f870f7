package transport_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
)

// FuzzTransportRequest sends any bytes as the rest of a request's header and as
// its body. Every answer must be whole HTTP, the connection must end, a call
// that follows must be answered, and no handler may go without an answer.
// Faults: T66.
func FuzzTransportRequest(f *testing.F) {
	call := "Content-Type: application/json\r\nMicro-Endpoint: Probe.Echo\r\n"
	proto := "Content-Type: application/protobuf\r\nMicro-Endpoint: Probe.List\r\n"
	for _, seed := range [][2]string{
		{call + "Content-Length: 2\r\n", "{}"},
		{call + "Content-Length: 200\r\n", "{}"},
		{call + "Content-Length: 99999999999999999999\r\n", ""},
		{call + "Content-Length: -1\r\n", ""},
		{call + "Content-Length: 2\r\nContent-Length: 3\r\n", "{}"},
		{call + "Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"},
		{call + "Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\n{}"},
		{call + "Expect: 100-continue\r\nContent-Length: 2\r\n", "{}"},
		{call + "Content-Length: 2\r\n", "{}" + wireCall("Echo", "2", "{}")},
		{proto + "Content-Length: 5\r\n", "\xff\xff\xff\xff\x01"},
		{proto + "Micro-Target: x\r\nMicro-Error: EOS\r\nTimeout: 1\r\nContent-Length: 2\r\n", "\x20\x64"},
		{proto + "Micro-Topic: sample.topic\r\nContent-Length: 0\r\n", ""},
		{proto + "Micro-Stream: 1\r\nContent-Length: 0\r\n", ""},
		{"Content-Type: application/json-rpc\r\nMicro-Service: x\r\nMicro-Id: 1\r\nContent-Length: 2\r\n", "{}"},
		{"Content-Type: application/json\r\nContent-Length: 53\r\n", `{"method":"Probe.Echo","params":[{"limit":1}],"id":0}`},
		{"Content-Type: application/octet-stream\r\nContent-Length: 37\r\n", netString("\x0a\x0aProbe.Echo\x11\x07\x00\x00\x00\x00\x00\x00\x00") + netString("\x9a\x01\x05hello")},
		{"Content-Type: application/octet-stream\r\nContent-Length: 37\r\n", netString("\x0a\x0aProbe.Ec\x05\n\x11\x07\x00\x00\x00\x00\x00\x00\x00") + netString("\x9a\x01\x05hello")},
		{"Content-Type: application/proto-rpc\r\nX-Micro-Target: x\r\nContent-Length: 8\r\n", "\x00\x00\x00\x00\x00\x00\x00\x00"},
		{strings.Repeat("A: b\r\n", 5000), ""},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	s, tr := serveGuarded(f, guardtransport.Config{})
	c := newClient(f)
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// Thousands of connections a second would use up all ports.
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		// A write may fail, because the answer may come before the request ends.
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+header+"\r\n"+string(body))
		_ = conn.(*net.TCPConn).CloseWrite()
		answersAll(t, conn)
		if rsp, err := callProbe(c, s.addr, "Echo", "alive"); err != nil || rsp.GetCursor() != "alive" {
			t.Errorf("a good call got %v and error %v afterwards", rsp, err)
		}
		if got := tr.Counters(); got.Unanswered != 0 || got.Expired != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

// answersAll reads answers until the connection ends.
func answersAll(t *testing.T, conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		if _, err := in.Peek(1); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Error("no answer, and the connection is open")
			}
			return
		}
		rsp, err := http.ReadResponse(in, nil)
		// The port closes what is too long without reading the rest, and the reset
		// that this causes may overtake the answer.
		if isReset(err) {
			return
		}
		if err != nil {
			t.Errorf("the answer is no HTTP: %v", err)
			return
		}
		switch _, err := io.Copy(io.Discard, rsp.Body); {
		case isReset(err):
			return
		case err != nil:
			t.Errorf("the answer is cut: %v", err)
			return
		}
	}
}
