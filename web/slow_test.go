package web

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// attack is what clients do that are slow on purpose.
type attack struct {
	addresses []string // they come from
	each      int      // connections of each address
	first     string   // is sent at once
	drip      string   // follows byte by byte, and begins anew at its end
	every     time.Duration
	// again is how long connections that were ended are made anew.
	again time.Duration
	// within is how long one may live.
	within time.Duration
}

// attacks are those of T67: 600 connections that send a byte of a header in five
// seconds, slow bodies, with a token and without, and readers that take 64 bytes
// at a time.
func attacks() map[string]attack {
	const header = "GET /list HTTP/1.1\r\n"
	body := "POST /register HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + admin +
		"\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"
	lists := strings.Repeat("GET /api/v1/monitors HTTP/1.1\r\nHost: localhost\r\n\r\n", 80)
	return map[string]attack{
		"headers from ten addresses": {loopbacks(10), 60, header, "X: y\r\n", 5 * time.Second, 8 * time.Second, 10 * time.Second},
		"headers from one address":   {loopbacks(1), 300, header, "X: y\r\n", 5 * time.Second, 8 * time.Second, 10 * time.Second},
		"bodies":                     {loopbacks(8), 40, body, " ", time.Second, 0, 30 * time.Second},
		"bodies without a token":     {loopbacks(2), 60, strings.Replace(body, admin, "", 1), " ", time.Second, 8 * time.Second, 30 * time.Second},
		"readers":                    {loopbacks(2), 2, lists, "", 0, 0, 30 * time.Second},
	}
}

// late is how much later than its time-out a connection may be seen to end: the
// machine is busy, the test looks now and then, and an answer has its 30 seconds
// from when its request was read, which is after the answers before it.
const late = 3 * time.Second

// outcome is what came of an attack.
type outcome struct {
	longest time.Duration // that a connection lived
	p99     time.Duration // of honest requests, the median of windows
	asked   int           // honest requests
	made    int           // connections of attackers
}

// run attacks a subject until it has ended all connections, while an honest
// client asks.
func (a attack) run(t *testing.T, s *subject) outcome {
	var mu sync.Mutex
	var o outcome
	begin := time.Now()
	var all sync.WaitGroup
	for _, address := range a.addresses {
		for range a.each {
			all.Go(func() {
				for first := true; first || time.Since(begin) < a.again; first = false {
					lived, err := a.connect(s, address)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					o.longest, o.made = max(o.longest, lived), o.made+1
					mu.Unlock()
				}
			})
		}
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	windows := s.honest(t, ended)
	<-ended
	var p99s []time.Duration
	for _, took := range windows {
		if len(took) == 0 {
			continue // ended by an error, which was told
		}
		p99s, o.asked = append(p99s, p99(took)), o.asked+len(took)
	}
	if len(p99s) > 0 {
		slices.Sort(p99s)
		o.p99 = p99s[len(p99s)/2]
	}
	return o
}

// connect makes one connection and returns how long it lived.
func (a attack) connect(s *subject, address string) (time.Duration, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	conn, err := d.Dial("tcp", s.address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	begin := time.Now()
	go func() { _, _ = io.WriteString(conn, a.first) }()
	for sent := 0; ; {
		time.Sleep(200 * time.Millisecond)
		if s.ended(conn.LocalAddr().String(), begin) {
			return time.Since(begin), nil
		}
		if time.Since(begin) > 2*a.within {
			return 0, fmt.Errorf("a connection from %s lives after %v", address, 2*a.within)
		}
		switch {
		case a.every == 0:
			_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, _ = conn.Read(make([]byte, 64))
		case time.Since(begin) > time.Duration(sent+1)*a.every:
			_, _ = conn.Write([]byte{a.drip[sent%len(a.drip)]})
			sent++
		}
	}
}

// honest asks until the attack has ended, on a connection for each request, so
// that none has its place before the attack. It returns what each took, by
// windows of two seconds.
func (s *subject) honest(t *testing.T, ended chan struct{}) [][]time.Duration {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var windows [][]time.Duration
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		select {
		case <-ended:
			return windows
		default:
		}
		if int(time.Since(begin)/(2*time.Second)) >= len(windows) {
			windows = append(windows, nil)
		}
		asked := time.Now()
		resp, err := client.Get("http://" + s.address + "/list")
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("an honest client: %v", err)
			return windows
		}
		windows[len(windows)-1] = append(windows[len(windows)-1], time.Since(asked))
	}
}

// loopbacks returns n addresses of this machine.
func loopbacks(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("127.0.1.%d", i+1))
	}
	return all
}

// TestSlowClientsDelayNobodyElse attacks a service in a process of its own, with
// its usual time-outs. The honest client must be answered within a quarter of a
// second (p99). It shares the machine with other tests: of its windows of two
// seconds the median counts, and only if three attacks in a row are over it, it is.
// Faults: T67, I2.
func TestSlowClientsDelayNobodyElse(t *testing.T) {
	for name, a := range attacks() {
		t.Run(name, func(t *testing.T) {
			if a.within > 10*time.Second || name == "headers from one address" {
				testkit.SkipIfShort(t)
			}
			t.Parallel()
			const limit = 250 * time.Millisecond
			for attempt := 1; ; attempt++ {
				s := startSubject(t)
				o := a.run(t, s)
				most := s.look(t).Most
				t.Logf("%d honest requests, p99 %v; %d slow connections, none for longer than %v, at most %d of an address", o.asked, o.p99, o.made, o.longest, most)
				if o.longest > a.within+late {
					t.Errorf("a slow connection lived %v, want at most %v", o.longest, a.within)
				}
				if most > 64 {
					t.Errorf("connections of one address: %d, want at most 64", most)
				}
				testkit.Eventually(t, 10*time.Second, "all connections are forgotten", func() bool { return len(s.look(t).Open) == 0 })
				if o.p99 <= limit || t.Failed() {
					return
				}
				if attempt == 3 {
					t.Fatalf("p99 of honest requests: %v, want at most %v", o.p99, limit)
				}
			}
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

// Faults: G34.
func TestBodiesOfMoreThan64KiBAreRefused(t *testing.T) {
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
