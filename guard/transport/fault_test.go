package transport_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// The codecs of go-micro 1 believe a length of 4 GB, or of what is left of an
// int, and reserve it.
// Faults: T66, Trap1.
func TestRequestsThatClaim4GBReserveNothing(t *testing.T) {
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{})
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
				var got httpAnswer
				grown := allocated(func() { got = post(t, s.addr, header, strings.NewReader(body)) })
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

// Faults: T66.
func TestTransportRefusesABodyOf300MB(t *testing.T) {
	testkit.NoLeaks(t)
	s, tr := serveGuarded(t, guardtransport.Config{})
	const size = 300 << 20
	for name, head := range map[string]string{
		"announced": fmt.Sprintf("Content-Length: %d\r\n\r\n", size),
		"chunked":   fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", size),
	} {
		t.Run(name, func(t *testing.T) {
			refused := tr.Counters().RefusedBodies
			grown := growthOfRefusal(t, s.addr, http.StatusRequestEntityTooLarge, func(conn net.Conn) { flood(conn, echoHead+head, size) })
			if grown > 16<<20 {
				t.Errorf("resident memory grew by %d bytes", grown)
			}
			if got := tr.Counters().RefusedBodies - refused; got != 1 {
				t.Errorf("got %d refused bodies, want 1", got)
			}
		})
	}
}

// What is announced too long is not waited for.
// Faults: T66.
func TestTooLongABodyIsRefusedUnread(t *testing.T) {
	refusedAtOnce(t, wireHead("Echo", 1<<20+1), http.StatusRequestEntityTooLarge, 5*time.Second)
}

// flood writes head and then size bytes, or as many as the other side
// takes.
func flood(conn net.Conn, head string, size int) {
	block := []byte(strings.Repeat(" ", 64<<10))
	_, err := io.WriteString(conn, head)
	for size > 0 && err == nil {
		n := min(size, len(block))
		_, err = conn.Write(block[:n])
		size -= n
	}
}

// Faults: T66.
func TestMillionHeadersAreRefused(t *testing.T) {
	testkit.NoLeaks(t)
	s, tr := serveGuarded(t, guardtransport.Config{})
	var block bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&block, "X-Meta-%d: v\r\n", i)
	}
	grown := growthOfRefusal(t, s.addr, http.StatusRequestHeaderFieldsTooLarge, func(conn net.Conn) {
		_, err := io.WriteString(conn, echoHead)
		for i := 0; i < 1000 && err == nil; i++ {
			_, err = conn.Write(block.Bytes())
		}
	})
	if grown > 8<<20 {
		t.Errorf("resident memory grew by %d bytes", grown)
	}
	testkit.Eventually(t, 10*time.Second, "the broken header is counted", func() bool { return tr.Counters().BrokenHeaders == 1 })
	if _, err := callProbe(newClient(t), s.addr, "Echo", ""); err != nil {
		t.Error(err)
	}
}

// echoHead is the head of a call without what says how long its body is.
const echoHead = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nMicro-Endpoint: Probe.Echo\r\n"

// growthOfRefusal writes a request that is refused with the status while it is being
// written, and returns by how much the peak of the memory grew.
func growthOfRefusal(t *testing.T, addr string, status int, write func(net.Conn)) int64 {
	t.Helper()
	return testkit.PeakGrowth(t, func() {
		conn, in := dial(t, addr)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer conn.Close()
		wg.Go(func() { write(conn) })
		wantRefusal(t, in, status)
	})
}

// wantRefusal reads the answer to a request that is still being written.
// The connection is reset soon afterwards, and a slow reader may see only that.
func wantRefusal(t *testing.T, in *bufio.Reader, status int) {
	t.Helper()
	if got, err := readAnswer(in); got.status != status && !isReset(err) {
		t.Errorf("got %+v and error %v, want %d", got, err, status)
	}
}

// Faults: T66.
func TestDeeplyNestedRequestIsAnswered(t *testing.T) {
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{})
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
		header := endpointHeader("Echo")
		header["Content-Type"] = c.kind
		start := time.Now()
		got := post(t, s.addr, header, strings.NewReader(c.body))
		if got.status != http.StatusOK || time.Since(start) > 5*time.Second {
			t.Errorf("%s: got %+v after %v, want an answer", name, got, time.Since(start))
		}
	}
}

// Memory for bodies is bounded over all connections, not only on each, and those that
// arrive slowly give way.
// Faults: T66, S5.
func TestSlowLongBodiesGiveWay(t *testing.T) {
	testkit.NoLeaks(t)
	s, tr := serveGuarded(t, guardtransport.Config{})
	const half = 512 << 10
	for range 24 {
		conn, _ := dial(t, s.addr)
		// The rest never comes. Writing fails on connections that gave way.
		_, _ = io.WriteString(conn, wireHead("Echo", 2*half)+strings.Repeat(" ", half))
	}
	testkit.Eventually(t, 10*time.Second, "16 of 24 are held", func() bool { return tr.Counters().RefusedBodies == 8 })
	for name, body := range map[string]string{"long": strings.Repeat(" ", half) + "{}", "short": "{}"} {
		if got := post(t, s.addr, endpointHeader("Echo"), strings.NewReader(body)); got.status != http.StatusOK {
			t.Errorf("a %s body was refused meanwhile: %+v", name, got)
		}
	}
}

func TestTransportTakesBodiesUpToTheLimit(t *testing.T) {
	testkit.NoLeaks(t)
	const limit = 100 << 10
	s, tr := serveGuarded(t, guardtransport.Config{MaxBody: limit})
	for _, size := range []int{2, smallBody - 1, smallBody, smallBody + 1, limit - 1, limit} {
		body := strings.Repeat(" ", size-2) + "{}"
		for name, r := range map[string]io.Reader{"announced": strings.NewReader(body), "chunked": io.MultiReader(strings.NewReader(body))} {
			if got := post(t, s.addr, endpointHeader("Echo"), r); got.status != http.StatusOK || got.header.Get("Micro-Error") != "" {
				t.Errorf("%s, %d bytes: got %+v", name, size, got)
			}
		}
	}
	for i, head := range []string{"Content-Length: 102401\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n19001\r\n"} {
		conn, in := dial(t, s.addr)
		flood(conn, echoHead+head, limit+1)
		wantRefusal(t, in, http.StatusRequestEntityTooLarge)
		if got := tr.Counters().RefusedBodies; got != uint64(i+1) {
			t.Errorf("got %d refused bodies, want %d", got, i+1)
		}
	}
}

// smallBody is where another way of reading a body begins.
const smallBody = 64 << 10

// wireHead is a call with the header of a JSON body of size bytes.
func wireHead(endpoint string, size int) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nMicro-Endpoint: Probe.%s\r\nContent-Length: %d\r\n\r\n", endpoint, size)
}
