package transport_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/proto/health"
)

// transportAnswer is an HTTP answer that was read to its end.
type transportAnswer struct {
	status int
	header http.Header
	body   string
}

// transportPost posts as curl would, on a connection of its own. Keys of header
// that hold nothing are left out, and the content type is JSON unless given.
func transportPost(tb testing.TB, addr string, header map[string]string, body io.Reader) transportAnswer {
	tb.Helper()
	return transportDo(tb, http.MethodPost, addr, header, body)
}

func transportDo(tb testing.TB, method, addr string, header map[string]string, body io.Reader) transportAnswer {
	tb.Helper()
	req, err := http.NewRequest(method, "http://"+addr+"/", body)
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header.Set(k, v)
		if v == "" {
			req.Header.Del(k)
		}
	}
	c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	rsp, err := c.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer rsp.Body.Close()
	text, err := io.ReadAll(rsp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return transportAnswer{rsp.StatusCode, rsp.Header, string(text)}
}

// transportEndpoint is the header that names an endpoint of Probe.
func transportEndpoint(name string) map[string]string {
	return map[string]string{"Micro-Endpoint": "Probe." + name}
}

// transportDial connects, with a deadline for all that follows.
func transportDial(tb testing.TB, addr string) (net.Conn, *bufio.Reader) {
	tb.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// transportWire is a call of an endpoint of Probe as it looks on the wire.
func transportWire(endpoint, id, body string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nMicro-Endpoint: Probe.%s\r\nMicro-Id: %s\r\nContent-Length: %d\r\n\r\n%s", endpoint, id, len(body), body)
}

// transportRead reads one answer.
func transportRead(in *bufio.Reader) (transportAnswer, error) {
	rsp, err := http.ReadResponse(in, nil)
	if err != nil {
		return transportAnswer{}, err
	}
	text, err := io.ReadAll(rsp.Body)
	return transportAnswer{rsp.StatusCode, rsp.Header, string(text)}, err
}

// transportPeak runs f and returns by how many bytes the resident memory of this
// process grew at most meanwhile.
func transportPeak(tb testing.TB, f func()) int64 {
	tb.Helper()
	runtime.GC()
	// Sets the peak to what is resident now.
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		tb.Fatal(err)
	}
	before := transportStatus(tb, "VmHWM:")
	f()
	return transportStatus(tb, "VmHWM:") - before
}

func transportStatus(tb testing.TB, key string) int64 {
	tb.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if strings.HasPrefix(line, key) {
			if _, err := fmt.Sscanf(strings.TrimPrefix(line, key), "%d kB", &kib); err != nil {
				tb.Fatal(err)
			}
			return kib << 10
		}
	}
	tb.Fatalf("no %s in /proc/self/status", key)
	return 0
}

// transportAllocated runs f and returns how many bytes were allocated meanwhile.
func transportAllocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// transportEvent is a health check as it comes from a broker.
func transportEvent(tb testing.TB, id string) *broker.Message {
	tb.Helper()
	body, err := proto.Marshal(&health.HealthCheck{Id: id})
	if err != nil {
		tb.Fatal(err)
	}
	return &broker.Message{Header: map[string]string{"Micro-Topic": "sample.topic", "Content-Type": "application/protobuf"}, Body: body}
}
