package web

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/service/receivers"
)

// Tokens of the tests, by role.
const (
	viewer   = "token-of-a-viewer"
	operator = "token-of-an-operator"
	admin    = "token-of-an-admin"
)

// options change a world before it begins.
type options struct {
	actions map[string]action.Kind // in place of the real ones
	web     func(*Config)
	group   func(*monitor.Config)
	server  func(*Server)
	// open leaves out the token file.
	open bool
}

// world is a running Server with a Group of fake kinds.
type world struct {
	t      testing.TB
	server *Server
	group  *monitor.Group
	level  *slog.LevelVar
	log    *testkit.LogBuffer
	client *http.Client
	url    string
	// built counts the probes that were made of the kind exec, open those of any
	// kind that are not closed.
	built, open atomic.Int64

	mu    sync.Mutex
	probe func(ctx context.Context) (probe.Result, error) // guarded by mu
	close func() error                                    // guarded by mu
}

type nowhere struct{}

func (nowhere) Record(monitor.Result) {}

type fakeProbe struct{ w *world }

func (p fakeProbe) Probe(ctx context.Context) (probe.Result, error) {
	p.w.mu.Lock()
	f := p.w.probe
	p.w.mu.Unlock()
	return f(ctx)
}

func (p fakeProbe) Close() error {
	p.w.mu.Lock()
	f := p.w.close
	p.w.mu.Unlock()
	p.w.open.Add(-1)
	return f()
}

// fakeKinds are the kinds of probes under their true names.
func (w *world) fakeKinds() map[string]probe.Kind {
	kinds := make(map[string]probe.Kind)
	for name := range probe.Builtin() {
		kinds[name] = func(decode func(any) error, _ probe.Env) (probe.Probe, error) {
			var keys struct {
				Address string   `toml:"address"`
				Command string   `toml:"command"`
				Args    []string `toml:"args"`
			}
			if err := decode(&keys); err != nil {
				return nil, err
			}
			if name == "exec" {
				w.built.Add(1)
			}
			w.open.Add(1)
			return fakeProbe{w}, nil
		}
	}
	return kinds
}

func newWorld(t testing.TB, opt options) *world {
	t.Helper()
	w := &world{t: t, level: new(slog.LevelVar), log: new(testkit.LogBuffer)}
	w.probe = func(context.Context) (probe.Result, error) { return probe.Result{}, nil }
	w.close = func() error { return nil }
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: w.level}))
	deliverer := delivery.NewDeliverer(delivery.Options{})
	actions := action.Builtin()
	maps.Copy(actions, opt.actions)
	gc := monitor.Config{
		Probes: w.fakeKinds(), Delivery: receivers.New(deliverer, actions, action.Env{Host: "here"}),
		Recorder: nowhere{}, Log: log,
		MaxPerSecond: 1_000_000, MaxOwned: 1_000_000, // each test may register what it likes
	}
	if opt.group != nil {
		opt.group(&gc)
	}
	w.group = monitor.NewGroup(gc)
	cfg := Config{
		Address: "127.0.0.1:0", Log: log, Group: w.group, Level: w.level,
		Report: func() Report { return Report{Instance: "one"} },
	}
	if !opt.open {
		cfg.Policy.Tokens = tokensOf(t)
	}
	if opt.web != nil {
		opt.web(&cfg)
	}
	var err error
	if w.server, err = Listen(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if opt.server != nil {
		opt.server(w.server)
	}
	w.url = "http://" + w.server.Addr()
	w.client = w.clientAt("")
	w.run(deliverer.Run, w.group.Run, w.server.Run)
	return w
}

// run runs until the test ends, and waits for the end.
func (w *world) run(all ...func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, f := range all {
		wg.Go(func() { _ = f(ctx) })
	}
	w.t.Cleanup(func() { cancel(); wg.Wait() })
}

// execAllow returns a list of the commands that may be registered.
func execAllow(t testing.TB, text string) *access.ExecAllow {
	t.Helper()
	list, err := access.LoadExecAllow(testkit.NewFile(t, "allow", text))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func tokensOf(t testing.TB) *access.Tokens {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens")
	text := fmt.Sprintf("viewer:%s\noperator:%s\nadmin:%s\n", viewer, operator, admin)
	testkit.WriteFile(t, file, text)
	tokens, err := access.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// clientAt returns a client that calls from an address of this machine.
func (w *world) clientAt(address string) *http.Client {
	d := &net.Dialer{}
	if address != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(address)}
	}
	tr := &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 100, MaxConnsPerHost: maxConnsOfAddress}
	w.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// call is one request and what it needs to be.
type call struct {
	method, path, body, kind, token string
	header                          map[string]string
	host                            string
	client                          *http.Client
}

// answer is what came back.
type answer struct {
	status int
	body   string
	header http.Header
}

func (w *world) do(c call) answer {
	w.t.Helper()
	a, err := w.try(c)
	if err != nil {
		w.t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	return a
}

func (w *world) try(c call) (answer, error) {
	var body io.Reader
	if c.body != "" {
		body = strings.NewReader(c.body)
	}
	r, err := http.NewRequest(c.method, w.url+c.path, body)
	if err != nil {
		return answer{}, err
	}
	if c.kind != "" {
		r.Header.Set("Content-Type", c.kind)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for k, v := range c.header {
		r.Header.Set(k, v)
	}
	r.Host = c.host
	client := c.client
	if client == nil {
		client = w.client
	}
	resp, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(text), resp.Header}, err
}

func registerCall(token, definition string) call {
	return call{method: "POST", path: "/register", body: definition, kind: "application/json", token: token}
}

func wordCall(id int64, word string) call {
	return call{method: "POST", path: "/monitor/" + strconv.FormatInt(id, 10), body: word, kind: "text/plain; charset=utf-8", token: admin}
}

func definition(name string) string {
	return fmt.Sprintf(`{"name":%q,"probe":{"type":"tcp","address":"localhost:1"}}`, name)
}

// add registers a monitor and returns its id.
func (w *world) add(name string) int64 {
	w.t.Helper()
	a := w.do(registerCall(admin, definition(name)))
	id, err := strconv.ParseInt(a.body, 10, 64)
	if a.status != http.StatusOK || err != nil {
		w.t.Fatalf("registering %q: %d %q", name, a.status, a.body)
	}
	return id
}

// info returns the monitor with an id.
func (w *world) info(id int64) monitor.Info {
	w.t.Helper()
	i, err := w.group.Get(id)
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

func (w *world) want(c call, status int, parts ...string) answer {
	w.t.Helper()
	a := w.do(c)
	if a.status != status {
		w.t.Errorf("%s %s: got %d %q, want %d", c.method, c.path, a.status, a.body, status)
	}
	for _, p := range parts {
		if !strings.Contains(a.body, p) {
			w.t.Errorf("%s %s: %q does not say %q", c.method, c.path, a.body, p)
		}
	}
	return a
}

func (w *world) setProbe(f func(ctx context.Context) (probe.Result, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probe = f
}
