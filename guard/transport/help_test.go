package transport_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"syscall"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"google.golang.org/protobuf/proto"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/proto/health"
)

// httpAnswer is an HTTP answer that was read to its end.
type httpAnswer struct {
	status int
	header http.Header
	body   string
}

// post posts as curl would, on a connection of its own. Keys of header
// that hold nothing are left out, and the content type is JSON unless given.
func post(tb testing.TB, addr string, header map[string]string, body io.Reader) httpAnswer {
	tb.Helper()
	return do(tb, http.MethodPost, addr, header, body)
}

func do(tb testing.TB, method, addr string, header map[string]string, body io.Reader) httpAnswer {
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
	rsp, text := testkit.Do(tb, &c, req)
	return httpAnswer{rsp.StatusCode, rsp.Header, text}
}

// endpointHeader is the header that names an endpoint of Probe.
func endpointHeader(name string) map[string]string {
	return map[string]string{"Micro-Endpoint": "Probe." + name}
}

// dial connects, with a deadline for all that follows.
func dial(tb testing.TB, addr string) (net.Conn, *bufio.Reader) {
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

// wireCall is a call of an endpoint of Probe as it looks on the wire.
func wireCall(endpoint, id, body string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nMicro-Endpoint: Probe.%s\r\nMicro-Id: %s\r\nContent-Length: %d\r\n\r\n%s", endpoint, id, len(body), body)
}

// readAnswer reads one answer.
func readAnswer(in *bufio.Reader) (httpAnswer, error) {
	rsp, err := http.ReadResponse(in, nil)
	if err != nil {
		return httpAnswer{}, err
	}
	text, err := io.ReadAll(rsp.Body)
	return httpAnswer{rsp.StatusCode, rsp.Header, string(text)}, err
}

// allocated runs f and returns how many bytes were allocated meanwhile.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// newEvent is a health check as it comes from a broker.
func newEvent(tb testing.TB, id string) *broker.Message {
	tb.Helper()
	body, err := proto.Marshal(&health.HealthCheck{Id: id})
	if err != nil {
		tb.Fatal(err)
	}
	return &broker.Message{Header: map[string]string{"Micro-Topic": "sample.topic", "Content-Type": "application/protobuf"}, Body: body}
}

func isClosed(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return true
	}
	_ = conn.Close()
	return false
}

// isReset reports whether the other side reset the connection.
func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }

// refusedAtOnce sends the head of a request without its body, and checks that the refusal
// comes within a time.
func refusedAtOnce(t *testing.T, head string, status int, limit time.Duration) {
	t.Helper()
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{})
	conn, in := dial(t, s.addr)
	start := time.Now()
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	if got, err := readAnswer(in); err != nil || got.status != status || time.Since(start) > limit {
		t.Errorf("got %+v and error %v after %v, want %d within %v", got, err, time.Since(start), status, limit)
	}
}
