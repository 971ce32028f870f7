package broker_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"golang.org/x/sync/errgroup"

	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

// post posts to the broker's port and gives the status, or 0 if it was cut.
func post(t *testing.T, b *guardbroker.Broker, path, contentType string, body io.Reader) int {
	t.Helper()
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequest(http.MethodPost, "http://"+b.Address()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	rsp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer rsp.Body.Close()
	return rsp.StatusCode
}

// rejection is the error of a handler that rejects an event.
type rejection struct{ status int }

func (r rejection) Error() string   { return "bad_value: status" }
func (r rejection) StatusCode() int { return r.status }

// A publisher is told that its event was rejected. The broker leaves counting and logging to
// the handler, and does not say what other errors of it are.
// Faults: C25.
func TestHTTPBrokerTellsThePublisherWhyAnEventIsRejected(t *testing.T) {
	reg, log := &registrytest.Fake{}, &testkit.LogBuffer{}
	b, _ := startHTTP(t, reg, func(cfg *guardbroker.HTTPConfig) { cfg.Logger = log.Logger() })
	subscribe(t, b, "t", func(e broker.Event) error {
		switch string(e.Message().Body) {
		case "bad":
			return fmt.Errorf("handling: %w", rejection{http.StatusBadRequest})
		case "broken":
			return errors.New("a disk is full")
		}
		return nil
	})
	awaitSubscribed(t, b)
	id := reg.ID()
	for body, want := range map[string]int{"good": 200, "bad": 400, "broken": 200} {
		event, err := json.Marshal(broker.Message{Header: map[string]string{"Micro-Topic": "t"}, Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		if got := post(t, b, "/?id="+id, "application/json", bytes.NewReader(event)); got != want {
			t.Errorf("%s: status %d, want %d", body, got, want)
		}
	}
	if b.Stats().HandlerErrors != 1 || strings.Contains(log.String(), "bad_value") {
		t.Errorf("%+v, log %s", b.Stats(), log)
	}
}

func TestHTTPBrokerRefusesMalformedEvents(t *testing.T) {
	testkit.NoLeaks(t)
	reg, log := &registrytest.Fake{}, &testkit.LogBuffer{}
	b, _ := startHTTP(t, reg, func(cfg *guardbroker.HTTPConfig) { cfg.Logger = log.Logger() })
	n := countEvents(t, b, "t")
	id := reg.ID()
	good := `{"Header":{"Micro-Topic":"t"},"Body":"eA=="}`
	for _, c := range []struct {
		path, contentType, body string
		want                    int
	}{
		{"/?id=" + id, "application/json", good, 200},
		{"/?id=" + id, "application/json; charset=utf-8", good, 200},
		{"/?id=" + id, "", good, 200},
		{"/?id=other", "application/json", good, 200}, // the sender learns nothing, nobody is called
		{"/", "application/json", good, 400},
		{"/?id=" + id, "application/json", "null", 400},
		{"/?id=" + id, "application/json", "  null\n", 400},
		{"/?id=" + id, "application/json", "", 400},
		{"/?id=" + id, "application/json", "garbage", 400},
		{"/?id=" + id, "application/json", "[]", 400},
		{"/?id=" + id, "application/json", `{"Header":null,"Body":null}`, 400},
		{"/?id=" + id, "application/json", strings.Repeat("[", 300000), 400},
		{"/?id=" + id, "application/json", strings.Repeat(`{"Header":`, 30000), 400},
		{"/?id=" + id, "application/x-www-form-urlencoded", "id=" + id, 415},
		{"/?id=" + id, "text/plain", good, 415},
		{"/?id=" + id, "multipart/form-data", good, 415},
		{"/?id=" + id, ";;", good, 415},
		{"/other?id=" + id, "application/json", good, 404}, // the stock handler would take it
	} {
		if got := post(t, b, c.path, c.contentType, strings.NewReader(c.body)); got != c.want {
			t.Errorf("%s %q %.40q: status %d, want %d", c.path, c.contentType, c.body, got, c.want)
		}
	}
	rsp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + b.Address() + "/")
	if err != nil || rsp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %v, %v", rsp, err)
	} else {
		rsp.Body.Close()
	}
	if n.Load() != 3 {
		t.Errorf("%d events, want 3", n.Load())
	}
	if got := b.Stats(); got.Refused != 15 || got.Received != 3 {
		t.Errorf("counted %+v, want 15 refused, 3 received", got)
	}
	if text := log.String(); strings.Contains(text, "panic") {
		t.Errorf("log:\n%s", text)
	}
}

func TestHTTPBrokerTakesEventsUpToItsLimit(t *testing.T) {
	testkit.NoLeaks(t)
	b, _ := startHTTP(t, &registrytest.Fake{}, nil)
	body := func(n int) io.Reader {
		head, tail := `{"Header":{"Micro-Topic":"t"},"Body":"`, `"}`
		fill := strings.Repeat("A", (n-len(head)-len(tail))/4*4)
		return strings.NewReader(head + fill + tail + strings.Repeat(" ", n-len(head)-len(tail)-len(fill)))
	}
	if got := post(t, b, "/?id=x", "", body(365912)); got != 200 {
		t.Errorf("at the limit: %d, want 200", got)
	}
	if got := post(t, b, "/?id=x", "", struct{ io.Reader }{body(365912)}); got != 200 {
		t.Errorf("at the limit in chunks: %d, want 200", got)
	}
	// The connection may be cut before the sender has read why.
	if got := post(t, b, "/", "", body(365913)); got != 413 && got != 0 {
		t.Errorf("past the limit: %d, want 413", got)
	}
	if got := post(t, b, "/", "", struct{ io.Reader }{body(365913)}); got != 413 && got != 0 {
		t.Errorf("past the limit in chunks: %d, want 413", got)
	}
}

// Faults: Trap10.
func TestHTTPBrokerClosesSlowConnections(t *testing.T) {
	testkit.SkipIfShort(t)
	testkit.NoLeaks(t)
	b, _ := startHTTP(t, &registrytest.Fake{}, func(cfg *guardbroker.HTTPConfig) {
		cfg.HeaderTimeout, cfg.BodyTimeout, cfg.Timeout = time.Second, 4*time.Second, 10*time.Second
	})
	n := countEvents(t, b, "t")
	const headerLimit, bodyLimit = 4500 * time.Millisecond, 12 * time.Second
	starts := map[string]struct {
		text  string
		limit time.Duration
	}{
		"nothing":      {"", headerLimit},
		"half headers": {"POST / HTTP/1.1\r\nHost: x\r\nContent-Le", headerLimit},
		"half body":    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", bodyLimit},
		"half chunks":  {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", bodyLimit},
		"large body":   {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat(" ", 100000), bodyLimit},
		"announced":    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000000\r\n\r\n", headerLimit}, // refused unseen
	}
	start := time.Now()
	var all errgroup.Group
	for name, c := range starts {
		for range 50 {
			all.Go(func() error {
				conn, err := net.Dial("tcp", b.Address())
				if err != nil {
					return err
				}
				defer conn.Close()
				begin := time.Now()
				if _, err := io.WriteString(conn, c.text); err != nil {
					return nil // refused before all was sent
				}
				_ = conn.SetReadDeadline(time.Now().Add(15 * time.Second))
				_, err = io.Copy(io.Discard, conn)
				if took := time.Since(begin); errors.Is(err, os.ErrDeadlineExceeded) || took > c.limit {
					return fmt.Errorf("%s: open after %v", name, took)
				}
				return nil
			})
		}
	}
	// Well-behaved events pass meanwhile.
	for range 20 {
		if err := b.Publish("t", message("x")); err != nil {
			t.Error(err)
		}
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("300 slow connections were closed within %v", time.Since(start).Round(time.Millisecond))
	if n.Load() != 20 {
		t.Errorf("%d events, want 20", n.Load())
	}
}

// dialFrom opens a connection to the broker's port from an address of this machine.
func dialFrom(t *testing.T, b *guardbroker.Broker, ip string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).Dial("tcp", b.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Faults: S5.
func TestIdleConnectionsToTheHTTPBrokerGiveWay(t *testing.T) {
	testkit.NoLeaks(t)
	const most = 256
	b, _ := startHTTP(t, &registrytest.Fake{}, func(cfg *guardbroker.HTTPConfig) { cfg.MaxConns = most })
	n := countEvents(t, b, "t")
	for range most {
		dialFrom(t, b, "127.0.0.2")
	}
	testkit.Eventually(t, 5*time.Second, "full", func() bool { return b.Connections().Full })
	if s := b.Connections(); s.Held != most || s.OfMost != most || s.Most.String() != "127.0.0.2" {
		t.Errorf("state %+v", s)
	}
	for range 20 {
		if err := b.Publish("t", message("x")); err != nil {
			t.Errorf("another client: %v", err)
		}
	}
	// Another service of the greedy client gets in as well.
	conn := dialFrom(t, b, "127.0.0.2")
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("the client itself: %q, %v", answer, err)
	}
	if s := b.Stats(); n.Load() != 20 || s.Taken == 0 || s.Refused != 1 {
		t.Errorf("%d events, counted %+v", n.Load(), s)
	}
}

// Faults: S5.
func TestSlowLargeEventsGiveWay(t *testing.T) {
	testkit.NoLeaks(t)
	reg := &registrytest.Fake{}
	b, _ := startHTTP(t, reg, func(cfg *guardbroker.HTTPConfig) { cfg.Timeout, cfg.BodyTimeout = 10*time.Second, time.Minute })
	n := countEvents(t, b, "t")
	for range 100 {
		conn := dialFrom(t, b, "127.0.0.2")
		// Writing fails on connections that gave way.
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"+strings.Repeat(" ", 30000))
	}
	testkit.Eventually(t, 10*time.Second, "32 of 100 are held", func() bool { return b.Stats().Refused == 68 })
	large := message(strings.Repeat("x", 200_000))
	for range 10 {
		if err := b.Publish("t", large); err != nil {
			t.Errorf("another client: %v", err)
		}
	}
	if n.Load() != 10 {
		t.Errorf("%d of 10 events", n.Load())
	}
}
