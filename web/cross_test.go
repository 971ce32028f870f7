package web

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/internal/testkit"
)

func changingCalls(id int64) []call {
	return []call{
		registerCall(admin, definition("new")),
		wordCall(id, "stop"),
		{method: "DELETE", path: fmt.Sprint("/monitor/", id), token: admin},
		{method: "PUT", path: "/verbosity", body: "critical", kind: "text/plain", token: admin},
		{method: "POST", path: "/verbosity", body: "critical", kind: "text/plain", token: admin},
	}
}

// Faults: T70, G2.
func TestPagesOfOtherOriginsChangeNothing(t *testing.T) {
	w := newWorld(t, options{})
	id := w.add("a")
	w.want(wordCall(id, "stop"), 200)
	w.want(wordCall(id, "start"), 200)
	before := w.group.List(monitorFilter())
	for _, header := range []map[string]string{
		{"Origin": "http://evil.example"},
		{"Origin": "null"},
		{"Origin": "https://" + w.server.Addr() + ".evil.example"},
		{"Origin": "http://localhost:1"},
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site"},
		{"Sec-Fetch-Site": "cross-site", "Origin": "http://" + w.server.Addr()},
		{"Origin": "http://evil.example", "Content-Type": "text/plain"},
	} {
		for _, c := range changingCalls(id) {
			c.header = header
			a := w.want(c, 403, "another origin")
			for name := range a.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("the answer has %s", name)
				}
			}
		}
	}
	// What a page of our own, or no page at all, sends is let pass.
	for _, header := range []map[string]string{
		{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://" + w.server.Addr()},
	} {
		c := wordCall(id, "start")
		c.header = header
		w.want(c, 200)
	}
	w.want(call{method: "OPTIONS", path: "/register", header: map[string]string{"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}}, 405)
	after := w.group.List(monitorFilter())
	if len(after) != 1 || after[0].ID != before[0].ID || !after[0].Running || w.level.Level() != slog.LevelInfo {
		t.Errorf("something was changed: %+v, %v", after, w.level.Level())
	}
}

// Faults: T70.
func TestWrongTypesAndMethodOverridesChangeNothing(t *testing.T) {
	w := newWorld(t, options{})
	id := w.add("a")
	before := len(w.group.List(monitorFilter()))
	for _, c := range changingCalls(id) {
		if c.method == "DELETE" {
			continue
		}
		for _, kind := range []string{"", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html", "a b/;", "text/plain, application/json", "x" + c.kind} {
			c.kind = kind
			w.want(c, 415, "send ")
		}
	}
	plain := registerCall(admin, definition("new"))
	plain.kind = "text/plain"
	w.want(plain, 415, "send application/json")
	word := wordCall(id, "stop")
	word.kind = "application/json"
	w.want(word, 415, "send text/plain")
	for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		path := fmt.Sprint("/monitor/", id)
		w.want(call{method: "GET", path: path, token: admin, header: map[string]string{header: "DELETE"}}, 200, `"running":true`)
		w.want(call{method: "POST", path: path + "?_method=DELETE", body: "start", kind: "text/plain", token: admin, header: map[string]string{header: "DELETE"}}, 200)
	}
	if got := w.group.List(monitorFilter()); len(got) != before || !got[0].Running || w.level.Level() != slog.LevelInfo {
		t.Errorf("something was changed: %+v, %v", got, w.level.Level())
	}
}

// Faults: T70, G3.
func TestUnknownHostsAreMisdirected(t *testing.T) {
	w := newWorld(t, options{web: func(c *Config) { c.Hosts = []string{"Mon.Example", "status.example:443"} }})
	id := w.add("a")
	_, port, err := net.SplitHostPort(w.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{
		"evil.example", "evil.example:" + port, "localhost.evil.example", "127.0.0.1.evil.example", "localhost.", "192.0.2.1", "[2001:db8::1]:80",
		"0.0.0.0", "localhost:port", "127.1", "2130706433", "0x7f.1", "mon.example.evil", "localhost@evil.example", "x:y:z",
	} {
		for _, c := range append(changingCalls(id), call{method: "GET", path: "/list"}, call{method: "GET", path: "/nowhere"}) {
			c.host = host
			w.want(c, 421, "this service is not known as")
		}
	}
	if got := w.group.List(monitorFilter()); len(got) != 1 || !got[0].Running || w.level.Level() != slog.LevelInfo {
		t.Errorf("something was changed: %+v, %v", got, w.level.Level())
	}
	for _, host := range []string{"localhost", "LocalHost:80", "127.0.0.1", "127.0.0.9:1", "[::1]:3838", "[::1]", "mon.example", "MON.example:8", "status.example"} {
		w.want(call{method: "GET", path: "/list", host: host}, 200)
	}
	// The kubelet knows the address of the pod only, whatever that is.
	for _, path := range []string{"/healthz", "/readyz"} {
		w.want(call{method: "GET", path: path, host: "10.1.2.3:3838"}, 200)
		w.want(call{method: "GET", path: path, host: "[fd00::5]:3838"}, 200)
		w.want(call{method: "GET", path: path, host: "evil.example"}, 421)
	}
}

func TestExtraHosts(t *testing.T) {
	h, err := newHosts("mon.example:3838", []string{"A.example", "b.example:1", "FD00::1", "[fd00::2]", "[fd00::3]:4", "192.0.2.5"})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"mon.example", "a.example:9", "b.example", "[fd00:0::1]", "[fd00::2]:8", "[FD00::3]", "192.0.2.5:3"} {
		r := httptest.NewRequest("GET", "/list", nil)
		r.Host = host
		if !h.allow(r) {
			t.Errorf("%q is refused", host)
		}
	}
	for _, bad := range []string{"", "http://a.example", "a b", "[::1", "a:b", "a/"} {
		if _, err := Listen(t.Context(), Config{Address: "127.0.0.1:0", Hosts: []string{bad}}); err == nil || !strings.Contains(err.Error(), "is neither a host name nor an address") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestHostMayBeTheAddressThatTheClientReached(t *testing.T) {
	ip := ownAddress(t)
	w := newWorld(t, options{web: func(c *Config) { c.Address = ":0" }})
	_, port, err := net.SplitHostPort(w.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	w.url = "http://" + net.JoinHostPort(ip, port)
	w.want(call{method: "GET", path: "/list", token: viewer}, 200)
	w.want(call{method: "GET", path: "/list", token: viewer, host: "192.0.2.77"}, 421)
}

// TestRawRequestsOfStrangeShape sends what no client of net/http would.
func TestRawRequestsOfStrangeShape(t *testing.T) {
	w := newWorld(t, options{})
	for text, want := range map[string]int{
		"GET /list HTTP/1.1\r\n\r\n":                                                              400,
		"GET /list HTTP/1.0\r\n\r\n":                                                              421,
		"GET /list HTTP/1.0\r\nHost: localhost\r\n\r\n":                                           200,
		"GET http://evil.example/list HTTP/1.1\r\nHost: localhost\r\n\r\n":                        421,
		"GET /list HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n":                     400,
		"GET /../list HTTP/1.1\r\nHost: localhost\r\n\r\n":                                        307,
		"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n":                                        421,
		"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n":                                           400,
		"GET /list HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 40<<10) + "\r\n\r\n": 431,
	} {
		if got := w.raw(text); got != want {
			t.Errorf("%.80q: got %d, want %d", text, got, want)
		}
	}
}

// raw returns the status of the answer to a text.
func (w *world) raw(text string) int {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.server.Addr())
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		w.t.Fatalf("%.80q: %v", text, err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// Commands refuse answers without the version: they would believe another server.
func TestEveryAnswerIsMarkedAndForbidsSniffingAndStoring(t *testing.T) {
	w := newWorld(t, options{web: func(c *Config) { c.Program = "v1.2.3" }})
	for _, c := range []call{
		{method: "GET", path: "/list"}, {method: "GET", path: "/healthz"}, {method: "GET", path: "/nowhere"}, {method: "GET", path: "/list", host: "evil.example"},
		{method: "DELETE", path: "/monitor/1"}, {method: "POST", path: "/list", header: map[string]string{"Origin": "http://evil.example"}},
	} {
		h := w.do(c).header
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s %s: %v", c.method, c.path, h)
		}
		if got := h.Get(VersionHeader); got != "v1.2.3" {
			t.Errorf("%s %s: %s is %q", c.method, c.path, VersionHeader, got)
		}
	}
}

// FuzzHostOrigin sends a change with any Host, Origin and Sec-Fetch-Site: it may
// be done only if net/url finds in them a host of ours and no foreign origin.
// Faults: T70, G3.
func FuzzHostOrigin(f *testing.F) {
	for _, seed := range [][3]string{
		{"localhost", "", ""}, {"localhost:3838", "http://localhost:3838", ""}, {"evil.example", "", "none"}, {"127.0.0.1", "null", "cross-site"},
		{"[::1]:80", "http://[::1]:80", "same-origin"}, {"mon.example", "http://evil.example", ""}, {"LOCALHOST", "//", ""}, {"127.0.0.1%00", "", ""}, {"[127.0.0.1]", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	names := []string{"localhost", "mon.example"}
	level := new(slog.LevelVar)
	s := &Server{cfg: Config{Log: testkit.QuietLog(), Level: level}}
	var err error
	if s.hosts, err = newHosts("127.0.0.1:0", names[1:]); err != nil {
		f.Fatal(err)
	}
	s.door = access.NewDoor(access.Policy{Insecure: true}, nil)
	handler := s.handler()
	f.Fuzz(func(t *testing.T, host, origin, site string) {
		level.Set(slog.LevelInfo)
		r := httptest.NewRequest("PUT", "/verbosity", strings.NewReader("debug"))
		r.RemoteAddr, r.Host = "127.0.0.1:1", host
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("Origin", origin)
		r.Header.Set("Sec-Fetch-Site", site)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		done := level.Level() == slog.LevelDebug
		if done != (rec.Code == 200) {
			t.Fatalf("status %d, done %v", rec.Code, done)
		}
		if !done {
			return
		}
		u, err := url.Parse("http://" + host)
		if err != nil {
			t.Fatalf("done for the host %q, which is none: %v", host, err)
		}
		ip, err := netip.ParseAddr(u.Hostname())
		if !slices.Contains(names, strings.ToLower(u.Hostname())) && (err != nil || !ip.IsLoopback()) {
			t.Fatalf("done for the foreign host %q", host)
		}
		if site != "" && site != "none" && site != "same-origin" {
			t.Fatalf("done for Sec-Fetch-Site %q", site)
		}
		if o, err := url.Parse(origin); site == "" && origin != "" && (err != nil || o.Host != host) {
			t.Fatalf("done for the origin %q at %q", origin, host)
		}
	})
}
