package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/internal/testkit"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
)

// doorLoads are what bad clients do to the doors of an instance until ctx ends, or until
// they have done all.
var doorLoads = map[string]func(ctx context.Context, m *subject){
	"idle connections": func(ctx context.Context, m *subject) {
		rpc := m.rpcAddress()
		defer testkit.Go(1024, func(int) { holdOpen(ctx, "127.0.0.1", rpc, "", "") })()
		testkit.Go(600, func(i int) { holdOpen(ctx, fmt.Sprint("127.0.2.", i%20+1), m.http, "", "") })()
	},
	"half a request": func(ctx context.Context, m *subject) {
		rpc := m.rpcAddress()
		testkit.Go(1024, func(int) { holdOpen(ctx, "127.0.0.1", rpc, "POST / HTTP/1.1\r\nHost: x\r\n", "X: y\r\n") })()
	},
	"slow bodies": func(ctx context.Context, m *subject) {
		rpc := m.rpcAddress()
		large := "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nMicro-Endpoint: Monitor.Status\r\nContent-Length: 1000000\r\n\r\n" +
			strings.Repeat(" ", 100<<10)
		small := "POST /register HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + adm + "\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"
		defer testkit.Go(300, func(int) { holdOpen(ctx, "127.0.0.1", rpc, large, " ") })()
		testkit.Go(60, func(int) { holdOpen(ctx, "127.0.0.1", m.http, small, " ") })()
	},
	"wrong tokens": func(ctx context.Context, m *subject) {
		var left atomic.Int64
		left.Store(3_000)
		if testkit.Nightly() {
			left.Store(100_000)
		}
		rpc := m.rpcAddress()
		// Sixteen answers a door are late, so more clients than that are needed.
		testkit.Go(64, func(int) {
			for n := left.Add(-1); n >= 0 && ctx.Err() == nil; n = left.Add(-1) {
				from := fmt.Sprintf("127.1.%d.%d", n%1500/250, n%1500%250+1)
				if n%2 == 0 {
					ask(ctx, from, rpc, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nMicro-Endpoint: Monitor.Stop\r\nAuthorization: Bearer wrong\r\nContent-Length: 2\r\n\r\n{}")
				} else {
					ask(ctx, from, m.http, "PUT /verbosity HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/plain\r\nAuthorization: Bearer wrong\r\nContent-Length: 4\r\n\r\nwarn")
				}
			}
		})()
	},
	"starts and stops": func(ctx context.Context, m *subject) {
		for i := 0; ctx.Err() == nil; i++ {
			word := []string{"start", "stop"}[i%2]
			ask(ctx, "127.0.0.1", m.http, fmt.Sprintf("POST /monitor/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/plain\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", adm, len(word), word))
		}
	},
}

// holdOpen keeps a connection open, and makes it anew whenever it ends. It sends first,
// and then drip each second.
func holdOpen(ctx context.Context, from, to, first, drip string) {
	for ctx.Err() == nil {
		conn, err := dialFrom(ctx, from, to)
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		_, err = io.WriteString(conn, first)
		for err == nil {
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			if _, err = conn.Read(make([]byte, 1)); isTimeout(err) {
				_, err = io.WriteString(conn, drip)
			}
		}
		stop()
		_ = conn.Close()
		time.Sleep(rand.N(2 * time.Second))
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// ask makes one request and reads the answer.
func ask(ctx context.Context, from, to, request string) {
	conn, err := dialFrom(ctx, from, to)
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, request)
	_, _ = io.Copy(io.Discard, conn)
}

func dialFrom(ctx context.Context, from, to string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	return d.DialContext(ctx, "tcp", to)
}

// honest are clients that come from the address of most bad ones.
type honest struct {
	mu   sync.Mutex
	took []time.Duration // guarded by mu
}

// run asks at both doors until ctx ends: with a stock client that keeps its connections,
// with a new connection each time, and with a right token.
func (h *honest) run(ctx context.Context, t *testing.T, m *subject) {
	rpc := monitorpb.NewMonitorService(srv, client.NewClient(
		client.Registry(registry.NewMemoryRegistry()), client.Broker(broker.NewMemoryBroker()), client.Retries(0),
		func(o *client.Options) { o.CallOptions.ConnectionTimeout = ample },
	))
	at := client.WithAddress(m.rpcAddress())
	fresh := &http.Client{Timeout: ample, Transport: &http.Transport{DisableKeepAlives: true}}
	defer fresh.CloseIdleConnections()
	calls := map[string]func() error{
		"a stock client": func() error {
			_, err := rpc.HealthChecks(context.Background(), &monitorpb.HealthChecksRequest{}, at, client.WithRequestTimeout(ample))
			return err
		},
		"a new RPC connection":    func() error { return m.call("Monitor.Status", `{}`, new(struct{})) },
		"a right token over HTTP": func() error { return expectOK(fresh, http.MethodPut, "http://"+m.http+"/verbosity", "info") },
		"readiness":               func() error { return expectOK(fresh, http.MethodGet, "http://"+m.http+"/readyz", "") },
	}
	var all sync.WaitGroup
	for what, call := range calls {
		all.Go(func() {
			for ctx.Err() == nil {
				begin := time.Now()
				if err := call(); err != nil {
					t.Errorf("%s, after %v: %v", what, time.Since(begin), err)
				}
				h.mu.Lock()
				h.took = append(h.took, time.Since(begin))
				h.mu.Unlock()
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	all.Wait()
}

func expectOK(c *http.Client, method, url, body string) error {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("Authorization", "Bearer "+adm)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)); resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	return nil
}

// Well-behaved clients are served whatever the others do, no kind of line fills the log,
// and SIGTERM ends the instance in the middle of it. The times are those of a machine
// that the clients share.
// Faults: S5, S10, S11, T67.
func TestDoorsStayOpenUnderLoad(t *testing.T) {
	testkit.SkipIfShort(t)
	dir := configDir(t, monitorTOML("a", "tcp", "address = \"127.0.0.1:1\""))
	for name, load := range doorLoads {
		t.Run(name, func(t *testing.T) {
			m := startMonitor(t, "--registry", "memory", "-d", dir, "--token_file", tokenFile(t))
			m.ready(ample)
			m.rpcAddress()
			loading, unload := context.WithCancel(t.Context())
			var all sync.WaitGroup
			defer all.Wait()
			defer unload()
			loaded := make(chan struct{})
			all.Go(func() { defer close(loaded); load(loading, m) })
			time.Sleep(time.Second) // until the load is there
			asking, enough := context.WithCancel(t.Context())
			defer enough()
			time.AfterFunc(testkit.Scale(3*time.Second, 30*time.Second), func() {
				if name == "wrong tokens" {
					<-loaded
				}
				enough()
			})
			var h honest
			h.run(asking, t, m)
			if name == "idle connections" {
				if c := m.component("connections"); c.OK || !strings.Contains(c.Reason, "the RPC port is full: ") {
					t.Errorf("the component says %+v, want full", c)
				}
			}
			slices.Sort(h.took)
			t.Logf("%d calls, p50 %v, p99 %v, longest %v", len(h.took), h.took[len(h.took)/2], h.took[len(h.took)*99/100], h.took[len(h.took)-1])
			time.Sleep(rand.N(time.Second))
			m.stopsInOrder(t)
			m.checkLines(t)
		})
	}
}

// checkLines checks that no kind of line was logged 60 times in a minute.
func (m *subject) checkLines(t *testing.T) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^time=(\S+) level=\S+ msg=("(?:[^"\\]|\\.)*"|\S+)`)
	kinds := map[string][]time.Time{}
	for _, found := range line.FindAllStringSubmatch(m.output(), -1) {
		at, err := time.Parse(time.RFC3339, found[1])
		if err != nil {
			t.Fatal(err)
		}
		kinds[found[2]] = append(kinds[found[2]], at)
	}
	for kind, at := range kinds {
		for i := range at {
			if i+59 < len(at) && at[i+59].Sub(at[i]) < time.Minute {
				t.Errorf("60 lines %s within %v", kind, at[i+59].Sub(at[i]))
				break
			}
		}
	}
	if len(kinds) == 0 {
		t.Error("no line was found")
	}
}
