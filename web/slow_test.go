package web

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// scaled are the usual timeouts divided by ten.
func scaled() timeouts {
	u := usual()
	return timeouts{u.header / 10, u.read / 10, u.write / 10, u.idle / 10}
}

// attacker is a connection that is slow on purpose.
type attacker struct {
	conn   net.Conn
	closed time.Duration // from the start to the end that the service made
}

// attack opens n connections from each address, has each send at once, then a
// byte of drip every tenth of a second, and waits until the service has ended
// them.
func (w *world) attack(addresses []string, n int, first, drip string) []*attacker {
	var all []*attacker
	for _, address := range addresses {
		for range n {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
			conn, err := d.Dial("tcp", w.server.Addr())
			if err != nil {
				w.t.Fatal(err)
			}
			w.t.Cleanup(func() { conn.Close() })
			_ = conn.(*net.TCPConn).SetReadBuffer(4096)
			all = append(all, &attacker{conn: conn})
		}
	}
	var wg sync.WaitGroup
	for _, a := range all {
		wg.Go(func() { a.run(w.server.conns, first, drip) })
	}
	wg.Wait()
	return all
}

func (a *attacker) run(all *conns, first, drip string) {
	begin := time.Now()
	defer func() { a.closed = time.Since(begin) }()
	go func() { _, _ = io.WriteString(a.conn, first) }()
	local := a.conn.LocalAddr().String()
	for i := 0; ; i++ {
		if time.Since(begin) > 20*time.Second {
			return
		}
		// Reading a little of what comes is what a slow reader does, and shows
		// everybody the end of the connection.
		_ = a.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := a.conn.Read(make([]byte, 64)); err != nil && !isTimeout(err) {
			return
		}
		// What is in the buffers of the kernel hides the end from a slow reader.
		if i > 5 && !all.has(local) {
			return
		}
		if drip != "" {
			if _, err := a.conn.Write([]byte{drip[i%len(drip)]}); err != nil {
				return
			}
		}
	}
}

func isTimeout(err error) bool {
	t, ok := err.(net.Error)
	return ok && t.Timeout()
}

// loopbacks returns n addresses of this machine.
func loopbacks(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("127.0.1.%d", i+1))
	}
	return all
}

// TestT67SlowClientsHurtNobodyElse attacks in three ways, scaled by ten, while
// an honest client asks.
func TestT67SlowClientsHurtNobodyElse(t *testing.T) {
	body := "POST /register HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + admin +
		"\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"
	for name, c := range map[string]struct {
		addresses   []string
		each        int
		first, drip string
		within      time.Duration
	}{
		"headers from one address":   {loopbacks(1), 300, "GET /list HTTP/1.1\r\n", "X: y\r\n", 5 * time.Second},
		"headers from ten addresses": {loopbacks(10), 60, "GET /list HTTP/1.1\r\n", "X: y\r\n", 5 * time.Second},
		"bodies":                     {loopbacks(8), 40, body, " ", 5 * time.Second},
		"bodies without a token":     {loopbacks(2), 60, strings.Replace(body, admin, "", 1), " ", 5 * time.Second},
		"readers":                    {loopbacks(2), 5, strings.Repeat("GET /api/v1/monitors HTTP/1.1\r\nHost: localhost\r\n\r\n", 80), "", 12 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{slow: scaled()})
			for i := range 20 {
				w.want(registerCall(admin, largeDefinition(i)), 200)
			}
			stop := make(chan struct{})
			var honest sync.WaitGroup
			var took []time.Duration
			most := 0
			client := w.clientAt("127.0.0.1")
			honest.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Millisecond):
					}
					begin := time.Now()
					// One connection for each, so that none has its place before the attack.
					client.CloseIdleConnections()
					if a, err := w.try(call{method: "GET", path: "/healthz", client: client}); err != nil || a.status != 200 {
						t.Errorf("an honest client: %v %v", a.status, err)
						return
					}
					took = append(took, time.Since(begin))
					most = max(most, w.server.conns.most())
				}
			})
			all := w.attack(c.addresses, c.each, c.first, c.drip)
			close(stop)
			honest.Wait()
			slowest := slices.MaxFunc(all, func(a, b *attacker) int { return int(a.closed - b.closed) })
			slices.Sort(took)
			p99 := took[len(took)*99/100]
			t.Logf("%d honest requests, p99 %v; %d slow ones, the last ended after %v; at most %d of an address", len(took), p99, len(all), slowest.closed, most)
			// With the race detector, two cores and 600 attackers in this very
			// process, four times the figure of the threat model is let pass.
			if limit := 4 * 250 * time.Millisecond; p99 > limit {
				t.Errorf("p99 of honest requests: %v, want at most %v", p99, limit)
			}
			if slowest.closed > c.within {
				t.Errorf("a slow connection lived %v, want at most %v", slowest.closed, c.within)
			}
			if most > maxConnsOfAddress {
				t.Errorf("connections of one address: %d, want at most %d", most, maxConnsOfAddress)
			}
			w.client.CloseIdleConnections()
			client.CloseIdleConnections()
			eventually(t, "all connections are forgotten", func() bool { return w.server.conns.most() == 0 })
		})
	}
}

// largeDefinition is of a monitor that takes 7 KiB to list.
func largeDefinition(i int) string {
	var labels []string
	for k := range 28 {
		labels = append(labels, fmt.Sprintf(`"%d":%q`, k, strings.Repeat("x", 256)))
	}
	return fmt.Sprintf(`{"name":"m%d","probe":{"type":"tcp","address":"h:1"},"labels":{%s}}`, i, strings.Join(labels, ","))
}

// has tells whether the connection from an address and port is open.
func (c *conns) has(remote string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for o := range c.open {
		if o.RemoteAddr().String() == remote {
			return true
		}
	}
	return false
}

// most returns the most connections that an address has.
func (c *conns) most() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, of := range c.of {
		n = max(n, of)
	}
	return n
}

func TestG34BodiesOfMoreThan64KiBAreRefused(t *testing.T) {
	w := newWorld(t, options{})
	id := w.add("a")
	fits := `{"name":"b","probe":{"type":"tcp","address":"h:1"}}`
	fits += strings.Repeat(" ", maxBody-len(fits))
	for _, c := range changingCalls(id) {
		if c.method == "DELETE" {
			continue
		}
		c.body = strings.Repeat(" ", maxBody+1)
		w.want(c, 413, "the body is larger than 65536 bytes")
		// The same without a Content-Length.
		if got := w.raw(chunked(c)); got != 413 {
			t.Errorf("%s %s in chunks: got %d, want 413", c.method, c.path, got)
		}
		c.token = ""
		w.want(c, 401)
	}
	w.want(registerCall(admin, fits), 200)
}

// chunked writes a call with its body in two chunks.
func chunked(c call) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n1\r\n \r\n0\r\n\r\n",
		c.method, c.path, c.token, c.kind, len(c.body)-1, c.body[1:])
}
