package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/connlimit"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/service/receivers"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/web"
)

// world is what a Collector reads. Its probes are of the kinds http and tcp, and its
// actions of the kind mail.
type world struct {
	sources Sources

	mu     sync.Mutex
	probe  func() (probe.Result, error) // guarded by mu
	notify func() error                 // guarded by mu
}

// newWorld returns a world with the monitors of a file, which run until the test ends.
func newWorld(t testing.TB, file string) *world {
	t.Helper()
	w := &world{
		probe:  func() (probe.Result, error) { time.Sleep(time.Millisecond); return probe.Result{}, nil },
		notify: func() error { return nil },
	}
	kind := func(decode func(any) error, _ probe.Env) (probe.Probe, error) {
		return w, decode(new(struct{}))
	}
	act := func(decode func(any) error, _ action.Env) (action.Action, error) {
		return mailAction{w}, decode(new(struct{}))
	}
	deliverer := delivery.NewDeliverer(delivery.Options{})
	group := monitor.NewGroup(monitor.Config{
		Probes:   map[string]probe.Kind{"http": kind, "tcp": kind},
		Delivery: receivers.New(deliverer, map[string]action.Kind{"mail": act}, action.Env{}),
		Recorder: w, Log: testkit.QuietLog(),
	})
	set, problems := monitor.Parse("m.toml", file)
	if problems = group.Apply(t.Context(), set, problems); len(problems) > 0 {
		t.Fatal(problems)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = deliverer.Run(ctx) })
	wg.Go(func() { _ = group.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	w.sources = Sources{
		Store: store.New(store.Config{MaxServices: 10_000, MaxNodes: 100_000, MaxEntries: 1_000_000, Share: 1}), Group: group, Receivers: deliverer.Status,
		Events: someEvents, RPC: someCalls, Version: "v1.2.3",
		Components: func() []web.Component {
			return []web.Component{{Name: "broker", OK: true, Since: time.Unix(1000, 0)}, {Name: "registry", Since: time.Unix(2000, 5e8)}}
		},
		Ports: func() []Port {
			return []Port{{"HTTP", connlimit.State{Held: 3, Max: 512, Refused: 1, Taken: 2, Broken: 4}}}
		},
		Requests: func() []web.Requests {
			return []web.Requests{{Path: "/list", Status: 200, Count: 7, Took: time.Second}}
		},
	}
	return w
}

func someEvents() Events {
	return Events{
		Topics:   map[string]Topic{"micro.monitor.stats": {Results: map[string]uint64{"accepted": 5, "rejected": 1}, Bytes: 700}},
		Rejected: map[string]uint64{"too_large": 1}, Repaired: map[string]uint64{"text_cut": 2}, Dropped: map[string]uint64{"cardinality": 3},
		Queued: 4, QueuedBytes: 500,
	}
}

func someCalls() RPC {
	return RPC{
		Requests: 9, InFlight: 1, Refused: map[string]uint64{"body": 1, "other": 2}, Panics: 1, Expired: 2, Unanswered: 3,
		Calls: []web.Requests{{Path: "Monitor.Status", Status: 200, Count: 4, Took: time.Second}, {Path: "Monitor.Status", Status: 404, Count: 1, Took: time.Second}},
	}
}

func (w *world) Record(monitor.Result) {}
func (w *world) Close() error          { return nil }

func (w *world) Probe(context.Context) (probe.Result, error) {
	w.mu.Lock()
	f := w.probe
	w.mu.Unlock()
	return f()
}

// set changes what probes and actions do.
func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

type mailAction struct{ w *world }

func (mailAction) Kind() string { return "mail" }

func (a mailAction) Notify(context.Context, []action.Notification) error {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	return a.w.notify()
}

// check is an event of a health check.
func check(service, node, id string, status healthpb.HealthCheck_Status) *store.Event {
	return &store.Event{
		Kind: store.KindCheck, Service: []byte(service), Node: []byte(node), ID: []byte(id),
		Status: int32(status), Interval: 10, TTL: 60,
	}
}

// running is the status of a node.
func running(service, node string) *store.Event {
	e := check(service, node, "", 0)
	e.Kind, e.Status = store.KindStatus, int32(healthpb.Status_RUNNING)
	return e
}

func (w *world) put(t testing.TB, events ...*store.Event) {
	t.Helper()
	for _, e := range events {
		if got := w.sources.Store.Put(e); got != store.Accepted {
			t.Fatalf("%s %s: outcome %v", e.Service, e.ID, got)
		}
	}
}

// scrape asks a handler and returns the body of the answer.
func scrape(t testing.TB, h http.Handler, path string, header ...string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	return rec.Body.String()
}

// handler returns the handler of /metrics.
func (w *world) handler(t testing.TB, log *slog.Logger) http.Handler {
	t.Helper()
	h, err := NewHandler(NewCollector(w.sources), log)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// metrics scrapes the collector of a world.
func (w *world) metrics(t testing.TB, header ...string) string {
	t.Helper()
	return scrape(t, w.handler(t, testkit.QuietLog()), "/metrics", header...)
}

// parse reads the text format.
func parse(t testing.TB, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// series counts the lines with a value.
func series(text string) (n int) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

// wantLines checks that a text has these lines.
func wantLines(t testing.TB, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			t.Errorf("there is no line %s\n%s", line, strings.Join(regexp.MustCompile("(?m)^"+name+".*$").FindAllString(text, 20), "\n"))
		}
	}
}

// promtool runs Debian's promtool.
func promtool(t testing.TB, stdin string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatalf("this test needs the program promtool: run \"make deps\" (%v)", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// toml returns monitors with a receiver.
func toml(kind string, names ...string) string {
	text := "[[receiver]]\nname = \"ops\"\ntype = \"mail\"\n"
	for _, name := range names {
		text += fmt.Sprintf("[[monitor]]\nname = %q\ninterval = 10\n[monitor.probe]\ntype = %q\n[[monitor.actions]]\nreceiver = \"ops\"\n", name, kind)
	}
	return text
}

// busyScrape returns a scrape of a world in which something of everything has happened, in
// the format that the header asks for.
func busyScrape(t *testing.T, header ...string) (text string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, toml("tcp", "web", "db"))
		w.put(t, running("shop", "shop-1"), check("shop", "shop-1", "db", healthpb.HealthCheck_OK), check("shop", "shop-1", "disk", healthpb.HealthCheck_ERROR))
		time.Sleep(20 * time.Second) // the reports of the shop are stale
		w.put(t, check("shop", "shop-1", "disk", healthpb.HealthCheck_WARNING))
		w.set(func() {
			w.probe = func() (probe.Result, error) {
				time.Sleep(time.Millisecond)
				return probe.Result{Value: -1}, errors.New("refused")
			}
			w.notify = func() error { return &action.Unreachable{Err: errors.New("no route")} }
		})
		time.Sleep(10500 * time.Millisecond)
		w.set(func() { w.notify = func() error { return nil } })
		time.Sleep(time.Minute)
		text = w.metrics(t, header...)
	})
	return text
}
