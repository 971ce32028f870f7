package guard_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	consulplugin "github.com/go-micro/plugins/v4/registry/consul"
	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

// refuseOnce is a proxy before the agent that refuses the first registration of
// a topic, and forwards everything afterwards.
func refuseOnce(t *testing.T, a *consultest.Agent) (p *testkit.HTTPProxy, refused *atomic.Int64) {
	t.Helper()
	refused = &atomic.Int64{}
	return testkit.NewHTTPProxy(t, a.Address(), func(r *http.Request, body []byte) bool {
		return consultest.Registers(r, body, "micro.http.broker") && refused.Add(1) == 1
	}), refused
}

// receivesEvents publishes three events with a stock publisher and waits for them.
func receivesEvents(t *testing.T, a *consultest.Agent, n *atomic.Int64) {
	t.Helper()
	testkit.Eventually(t, 16*time.Second, "the topic is in Consul", func() bool { return len(a.Nodes("micro.http.broker")) == 1 })
	if failed := publish(newPublisher(t, a), 3); failed > 0 {
		t.Errorf("%d of 3 events were not sent", failed)
	}
	testkit.Eventually(t, 5*time.Second, "3 of 3 events", func() bool { return n.Load() == 3 })
}

// The whole: a service whose topic was refused once is not deaf.
// Faults: Trap3.
func TestOneRefusedSubscriptionIsRetried(t *testing.T) {
	testkit.NoLeaks(t)
	consultest.ClearEnv(t)
	a := consultest.Start(t)
	p, refused := refuseOnce(t, a)
	r, err := guardregistry.NewConsul(guardregistry.ConsulConfig{Address: p.Address}, guardregistry.Config{Logger: testkit.QuietLog()})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, r)
	b := startHTTPBroker(t, r)
	srv := newServer(r, b, testkit.QuietLog(), 5*time.Second)
	var n atomic.Int64
	if _, err := b.Subscribe(topic, func(broker.Event) error { n.Add(1); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Stop() })
	receivesEvents(t, a, &n)
	if refused.Load() < 1 {
		t.Error("the test refused nothing")
	}
}

// The broker alone: around go-micro's own http broker on a registry that fails once.
// Leaks are not looked for: that broker leaves its connections open when it ends.
// Faults: Trap3.
func TestSubscribeIsRetriedOnTheStockBroker(t *testing.T) {
	consultest.ClearEnv(t)
	a := consultest.Start(t)
	p, refused := refuseOnce(t, a)
	transport := &http.Transport{DisableKeepAlives: true}
	plugin := consulplugin.NewRegistry(consulplugin.Config(&api.Config{
		Address: p.Address, HttpClient: &http.Client{Transport: transport, Timeout: 5 * time.Second},
	}))
	stock := broker.NewBroker(broker.Registry(plugin), broker.Logger(guard.NewLogger(testkit.QuietLog())))
	b := guardbroker.New(stock, guardbroker.Config{Logger: testkit.QuietLog()})
	testkit.Run(t, b)
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	n := countEvents(t, b, topic)
	if refused.Load() < 2 {
		t.Errorf("the stock broker tried %d times, want the refused one and another", refused.Load())
	}
	receivesEvents(t, a, n)
}

// RegisterCheck deregisters and registers at once when it fails, and multiplies the
// handling of events, so nothing here may use it.
// Faults: Trap8.
func TestRegisterCheckIsNotUsed(t *testing.T) {
	uses, err := usesOf("RegisterCheck", "..")
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range uses {
		t.Errorf("%s: RegisterCheck is used", at)
	}
	// The search does find: this file names what it tests in a selector below.
	if found, err := usesOf("selectedByThisTest", "."); err != nil || len(found) == 0 {
		t.Errorf("the search finds nothing: %v, %v", found, err)
	}
	_ = struct{ selectedByThisTest int }{}.selectedByThisTest
}

// usesOf finds the places under dir where something of that name is selected.
func usesOf(name, dir string) ([]string, error) {
	var uses []string
	files := token.NewFileSet()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(e.Name(), ".") && strings.Trim(e.Name(), ".") != ""
		if e.IsDir() && (hidden || e.Name() == "testdata") {
			return filepath.SkipDir
		}
		if e.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == name {
				uses = append(uses, files.Position(s.Pos()).String())
			}
			return true
		})
		return nil
	})
	return uses, err
}

// The inner registry is asked for a TTL that was asked of us, and the same service
// is registered and renewed by a go-micro server at its own pace.
// Faults: Trap14.
func TestServerKeepsItsTTL(t *testing.T) {
	testkit.NoLeaks(t)
	f := &registrytest.Fake{}
	r := guardregistry.New(guardregistry.Config{
		Open:   func(context.Context) (registry.Registry, error) { return f, nil },
		Logger: testkit.QuietLog(),
	})
	stop := testkit.Run(t, r)
	b := startHTTPBroker(t, r)
	srv := newServer(r, b, testkit.QuietLog(), 50*time.Millisecond)
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 5*time.Second, "renewed at the server's pace", func() bool { return f.Count("register "+nodeID) > 3 })
	f.Locked(func() {
		if f.TTLs[nodeID] != 20*time.Second {
			t.Errorf("ttl %v, want 20s", f.TTLs[nodeID])
		}
	})
	if err := srv.Stop(); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, 5*time.Second, "deregistered by the server", func() bool { return !f.Has(nodeID) })
	stop()
}

var _ registry.Registry = (*guardregistry.Registry)(nil)

func TestTopicsDoNotMoveTheCatalog(t *testing.T) {
	testkit.SkipIfShort(t)
	testkit.NoLeaks(t)
	consultest.ClearEnv(t)
	a := consultest.Start(t)
	r, err := guardregistry.NewConsul(guardregistry.ConsulConfig{Address: a.Address()},
		guardregistry.Config{Heartbeat: 100 * time.Millisecond, Logger: testkit.QuietLog()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := guardbroker.NewHTTP(guardbroker.HTTPConfig{
		Config:   guardbroker.Config{Logger: testkit.QuietLog()},
		Registry: r,
		Renew:    100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, r)
	stop := testkit.Run(t, b)
	for i := range 5 {
		if _, err := b.Subscribe(fmt.Sprint("topic-", i), func(broker.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, "five topics", func() bool { return len(a.Nodes("micro.http.broker")) == 5 })
	index := func() (health, catalog uint64) {
		_, h, err := a.Client().Health().Service("micro.http.broker", "", false, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, c, err := a.Client().Catalog().Service("micro.http.broker", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		return h.LastIndex, c.LastIndex
	}
	// The passing checks of the last registration reach the catalog a moment later.
	health, catalog := index()
	testkit.Eventually(t, 10*time.Second, "the indexes come to rest", func() bool {
		<-time.After(300 * time.Millisecond)
		h, c := index()
		still := h == health && c == catalog
		health, catalog = h, c
		return still
	})
	<-time.After(3 * time.Second) // some thirty heartbeats of each topic
	if h, c := index(); h != health || c != catalog {
		t.Errorf("indexes moved: health %d to %d, catalog %d to %d", health, h, catalog, c)
	}
	if n := len(a.Nodes("micro.http.broker")); n != 5 {
		t.Errorf("%d topics are passing, want 5", n)
	}
	stop()
}
