package guard_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/microhq/monitor-srv/guard"
)

// The codecs of go-micro 1 believe a length of 4 GB, or of what is left of an
// int, and reserve it.
func TestT66RequestsThatClaim4GBReserveNothing(t *testing.T) {
	transportNoLeaks(t)
	s, _ := transportGuarded(t, guard.TransportConfig{})
	string4GB := string([]byte{0xff, 0xff, 0xff, 0xff, 0x01})
	field := string([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	for _, body := range []string{string4GB, field, "\x0a" + string4GB} {
		for _, kind := range []string{"application/protobuf", "application/proto-rpc", "application/json", "application/octet-stream", ""} {
			for _, header := range []map[string]string{
				{},
				{"Micro-Target": "x"},
				{"Micro-Target": "x", "Micro-Endpoint": "Probe.Echo"},
				{"Micro-Service": "go.micro.srv.sample", "Micro-Id": "1"},
				{"Micro-Topic": "sample.topic"},
			} {
				header["Content-Type"] = kind
				var got transportAnswer
				grown := transportAllocated(func() { got = transportPost(t, s.addr, header, strings.NewReader(body)) })
				if got.status < 400 && got.header.Get("Micro-Error") == "" {
					t.Errorf("%q %v: got %+v, want an error", body, header, got)
				}
				if grown > 8<<20 {
					t.Errorf("%q %v: %d bytes were allocated", body, header, grown)
				}
			}
		}
	}
}

func TestT66BodyOf300MBIsRefused(t *testing.T) {
	transportNoLeaks(t)
	s, tr := transportGuarded(t, guard.TransportConfig{})
	const size = 300 << 20
	for name, head := range map[string]string{
		"announced": fmt.Sprintf("Content-Length: %d\r\n\r\n", size),
		"chunked":   fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", size),
	} {
		t.Run(name, func(t *testing.T) {
			refused := tr.Counters().RefusedBodies
			grown := transportPeak(t, func() {
				conn, in := transportDial(t, s.addr)
				var wg sync.WaitGroup
				defer wg.Wait()
				defer conn.Close()
				wg.Go(func() {
					transportFlood(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nMicro-Endpoint: Probe.Echo\r\n"+head, size)
				})
				if got, err := transportRead(in); err != nil || got.status != http.StatusRequestEntityTooLarge {
					t.Errorf("got %+v and error %v, want 413", got, err)
				}
			})
			if grown > 16<<20 {
				t.Errorf("resident memory grew by %d bytes", grown)
			}
			if got := tr.Counters().RefusedBodies - refused; got != 1 {
				t.Errorf("got %d refused bodies, want 1", got)
			}
		})
	}
}

// transportFlood writes head and then size bytes, or as many as the other side
// takes.
func transportFlood(conn net.Conn, head string, size int) {
	block := []byte(strings.Repeat(" ", 64<<10))
	_, err := io.WriteString(conn, head)
	for sent := 0; sent < size && err == nil; sent += len(block) {
		_, err = conn.Write(block)
	}
}

func TestT66MillionHeadersAreRefused(t *testing.T) {
	transportNoLeaks(t)
	s, tr := transportGuarded(t, guard.TransportConfig{})
	grown := transportPeak(t, func() {
		conn, in := transportDial(t, s.addr)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer conn.Close()
		wg.Go(func() {
			out := bufio.NewWriter(conn)
			_, err := out.WriteString("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nMicro-Endpoint: Probe.Echo\r\n")
			for i := 0; i < 1_000_000 && err == nil; i++ {
				_, err = fmt.Fprintf(out, "X-Meta-%d: v\r\n", i)
			}
		})
		if got, err := transportRead(in); err != nil || got.status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("got %+v and error %v, want 431", got, err)
		}
	})
	if grown > 8<<20 {
		t.Errorf("resident memory grew by %d bytes", grown)
	}
	transportUntil(t, "the broken header is counted", func() bool { return tr.Counters().BrokenHeaders == 1 })
	if _, err := transportCall(transportClient(t), s.addr, "Echo", ""); err != nil {
		t.Error(err)
	}
}

func TestT66DeepNestingIsAnswered(t *testing.T) {
	transportNoLeaks(t)
	s, _ := transportGuarded(t, guard.TransportConfig{})
	var groups, messages []byte
	for range 10_000 {
		groups = protowire.AppendTag(groups, 100, protowire.StartGroupType)
		messages = protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), messages)
	}
	for range 10_000 {
		groups = protowire.AppendTag(groups, 100, protowire.EndGroupType)
	}
	for name, c := range map[string]struct{ kind, body string }{
		"groups":      {"application/protobuf", string(groups)},
		"open groups": {"application/protobuf", string(groups[:20_000])},
		"messages":    {"application/protobuf", string(messages)},
		"arrays":      {"application/json", strings.Repeat("[", 10_000)},
		"objects":     {"application/json", strings.Repeat(`{"cursor":`, 10_000) + "1" + strings.Repeat("}", 10_000)},
	} {
		header := transportEndpoint("Echo")
		header["Content-Type"] = c.kind
		start := time.Now()
		got := transportPost(t, s.addr, header, strings.NewReader(c.body))
		if got.status != http.StatusOK || time.Since(start) > 5*time.Second {
			t.Errorf("%s: got %+v after %v, want an answer", name, got, time.Since(start))
		}
	}
}

func TestT66HalfOpenConnectionsAreClosed(t *testing.T) {
	transportNoLeaks(t)
	s, tr := transportGuarded(t, guard.TransportConfig{HeaderTimeout: time.Second})
	var wg sync.WaitGroup
	for i := range 500 {
		conn, in := transportDial(t, s.addr)
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
	if rsp, err := transportCall(transportClient(t), s.addr, "Echo", "still here"); err != nil || rsp.GetCursor() != "still here" {
		t.Errorf("got %v and error %v while 500 connections are half open", rsp, err)
	}
	wg.Wait()
	// The connection of the client is idle.
	transportUntil(t, "all are closed and counted", func() bool {
		c := tr.Counters()
		return c.OpenConns == 1 && c.BrokenHeaders == 250
	})
}

func TestT66SlowBodiesAreClosed(t *testing.T) {
	transportNoLeaks(t)
	s, tr := transportGuarded(t, guard.TransportConfig{HeaderTimeout: 200 * time.Millisecond, BodyTimeout: 300 * time.Millisecond})
	for name, head := range map[string]string{
		"announced":  "Content-Length: 1000\r\n\r\n{",
		"long":       "Content-Length: 100000\r\n\r\n{",
		"chunked":    "Transfer-Encoding: chunked\r\n\r\n3e8\r\n{",
		"unexpected": "Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n",
	} {
		conn, in := transportDial(t, s.addr)
		start := time.Now()
		if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nMicro-Endpoint: Probe.Echo\r\n"+head); err != nil {
			t.Fatal(err)
		}
		got, err := transportRead(in)
		if name == "unexpected" && got.status == http.StatusContinue {
			got, err = transportRead(in)
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
func TestT66RefusalsDoNotWaitForBodies(t *testing.T) {
	transportNoLeaks(t)
	s, _ := transportGuarded(t, guard.TransportConfig{})
	conn, in := transportDial(t, s.addr)
	start := time.Now()
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := transportRead(in); err != nil || got.status != http.StatusUnsupportedMediaType || time.Since(start) > 2*time.Second {
		t.Errorf("got %+v and error %v after %v, want 415 at once", got, err, time.Since(start))
	}
}

// Memory for bodies is bounded over all connections, not only on each.
func TestT66ManyLongBodiesShareFewSlots(t *testing.T) {
	transportNoLeaks(t)
	s, _ := transportGuarded(t, guard.TransportConfig{})
	const half = 512 << 10
	head := transportWireHead("Echo", 2*half)
	for range 16 {
		conn, _ := transportDial(t, s.addr)
		if _, err := io.WriteString(conn, head+strings.Repeat(" ", half)); err != nil {
			t.Fatal(err)
		}
	}
	long := strings.NewReader(strings.Repeat(" ", half) + `{"cursor":"long"}`)
	transportUntil(t, "the slots are taken", func() bool {
		_, _ = long.Seek(0, io.SeekStart)
		return transportPost(t, s.addr, transportEndpoint("Echo"), long).status == http.StatusServiceUnavailable
	})
	if got := transportPost(t, s.addr, transportEndpoint("Echo"), strings.NewReader(`{"cursor":"short"}`)); got.status != http.StatusOK {
		t.Errorf("a short body was refused meanwhile: %+v", got)
	}
}

func TestTransportTakesBodiesUpToTheLimit(t *testing.T) {
	transportNoLeaks(t)
	const limit = 100 << 10
	s, _ := transportGuarded(t, guard.TransportConfig{MaxBody: limit})
	for _, size := range []int{2, smallTransportBody - 1, smallTransportBody, smallTransportBody + 1, limit - 1, limit, limit + 1, 2 * limit} {
		body := strings.Repeat(" ", size-2) + "{}"
		want := http.StatusOK
		if size > limit {
			want = http.StatusRequestEntityTooLarge
		}
		for name, r := range map[string]io.Reader{"announced": strings.NewReader(body), "chunked": io.MultiReader(strings.NewReader(body))} {
			if got := transportPost(t, s.addr, transportEndpoint("Echo"), r); got.status != want || got.header.Get("Micro-Error") != "" && want == http.StatusOK {
				t.Errorf("%s, %d bytes: got %+v, want %d", name, size, got, want)
			}
		}
	}
}

// smallTransportBody is where another way of reading a body begins.
const smallTransportBody = 64 << 10

// transportWireHead is a call with the header of a JSON body of size bytes.
func transportWireHead(endpoint string, size int) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nMicro-Endpoint: Probe.%s\r\nContent-Length: %d\r\n\r\n", endpoint, size)
}

// In stock, any request with a Micro-Topic header is an event.
func TestT68EventsAreNotTakenAtTheRPCPort(t *testing.T) {
	transportNoLeaks(t)
	var log transportLog
	s, tr := transportGuarded(t, guard.TransportConfig{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, header := range []map[string]string{
		{"Micro-Topic": "sample.topic"},
		{"micro-topic": "sample.topic", "Micro-Id": "1"},
		{"X-Micro-Topic": "sample.topic"},
		{"Micro-Topic": "sample.topic", "Micro-Endpoint": "Probe.Echo"},
		{"Micro-Topic": "sample.topic", "Micro-Service": "go.micro.srv.sample", "Micro-Protocol": "mucp"},
	} {
		header["Content-Type"] = "application/protobuf"
		if got := transportPost(t, s.addr, header, bytes.NewReader(transportEvent(t, "forged").Body)); got.status != http.StatusForbidden {
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
func TestT68TheEventHandlerWorks(t *testing.T) {
	transportNoLeaks(t)
	s, _ := transportGuarded(t, guard.TransportConfig{})
	if err := s.srv.Options().Broker.Publish("sample.topic", transportEvent(t, "real")); err != nil {
		t.Fatal(err)
	}
	if got := <-s.events; got != "real" {
		t.Errorf("got event %q, want real", got)
	}
}
