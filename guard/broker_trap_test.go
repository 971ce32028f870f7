package guard_test

import (
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
	"go-micro.dev/v4/server"

	"github.com/microhq/monitor-srv/guard"
)

// regRefuseOnce is a proxy before the agent that refuses the first registration of
// a topic, and is well from then on.
func regRefuseOnce(t *testing.T, a *regAgent) (p *regProxy, refused *atomic.Int64) {
	t.Helper()
	refused = &atomic.Int64{}
	return regNewProxy(t, a.address(), func(r *http.Request, body []byte) bool {
		return registers(r, body, "micro.http.broker") && refused.Add(1) == 1
	}), refused
}

// brkReceives publishes three events with a stock publisher and waits for them.
func brkReceives(t *testing.T, a *regAgent, n *atomic.Int64) {
	t.Helper()
	regEventually(t, 16*time.Second, "the topic is in Consul", func() bool { return len(a.nodes("micro.http.broker")) == 1 })
	if failed := regPublish(regPublisher(t, a), 3); failed > 0 {
		t.Errorf("%d of 3 events were not sent", failed)
	}
	regEventually(t, 5*time.Second, "3 of 3 events", func() bool { return n.Load() == 3 })
}

// The whole: a service whose topic was refused once is not deaf.
// Faults: Trap3.
func TestOneRefusedSubscriptionIsRetried(t *testing.T) {
	regNoLeaks(t)
	regClearEnv(t)
	a := regStartAgent(t, false)
	p, refused := regRefuseOnce(t, a)
	r, err := guard.NewConsulRegistry(guard.ConsulConfig{Address: p.addr}, guard.RegistryConfig{Logger: regQuiet()})
	if err != nil {
		t.Fatal(err)
	}
	regRun(t, r)
	b, _ := brkHTTP(t, r, nil)
	srv := server.NewServer(
		server.Name(regServiceName), server.Id(regServiceID), server.Address("127.0.0.1:0"),
		server.Registry(r), server.Broker(b), server.WithLogger(guard.NewLogger(regQuiet())),
		server.RegisterTTL(20*time.Second), server.RegisterInterval(5*time.Second),
	)
	var n atomic.Int64
	if _, err := b.Subscribe(regTopic, func(broker.Event) error { n.Add(1); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Stop() })
	brkReceives(t, a, &n)
	if refused.Load() < 1 {
		t.Error("the test refused nothing")
	}
}

// The broker alone: around go-micro's own http broker on a registry that fails once.
// Leaks are not looked for: that broker leaves its connections open when it ends.
// Faults: Trap3.
func TestSubscribeIsRetriedOnTheStockBroker(t *testing.T) {
	regClearEnv(t)
	a := regStartAgent(t, false)
	p, refused := regRefuseOnce(t, a)
	transport := &http.Transport{DisableKeepAlives: true}
	plugin := consulplugin.NewRegistry(consulplugin.Config(&api.Config{
		Address: p.addr, HttpClient: &http.Client{Transport: transport, Timeout: 5 * time.Second},
	}))
	stock := broker.NewBroker(broker.Registry(plugin), broker.Logger(guard.NewLogger(regQuiet())))
	b := guard.NewBroker(stock, guard.BrokerConfig{Logger: regQuiet()})
	regRun(t, b)
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	n := brkCount(t, b, regTopic)
	if refused.Load() < 2 {
		t.Errorf("the stock broker tried %d times, want the refused one and another", refused.Load())
	}
	brkReceives(t, a, n)
}

// RegisterCheck deregisters and registers at once when it fails, and multiplies the
// handling of events, so nothing here may use it.
// Faults: Trap8.
func TestRegisterCheckIsNotUsed(t *testing.T) {
	uses, err := regUsesOf("RegisterCheck", "..")
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range uses {
		t.Errorf("%s: RegisterCheck is used", at)
	}
	// The search does find: this file names what it tests in a selector below.
	if found, err := regUsesOf("regSelected", "."); err != nil || len(found) == 0 {
		t.Errorf("the search finds nothing: %v, %v", found, err)
	}
	_ = struct{ regSelected int }{}.regSelected
}

// regUsesOf finds the places under dir where something of that name is selected.
func regUsesOf(name, dir string) ([]string, error) {
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
	regNoLeaks(t)
	f := &regFake{}
	r := regOf(f, nil)
	stop := regRun(t, r)
	b, _ := brkHTTP(t, r, nil)
	srv := server.NewServer(
		server.Name(regServiceName), server.Id(regServiceID), server.Address("127.0.0.1:0"),
		server.Registry(r), server.Broker(b), server.WithLogger(guard.NewLogger(regQuiet())),
		server.RegisterTTL(20*time.Second), server.RegisterInterval(50*time.Millisecond),
	)
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	regEventually(t, 5*time.Second, "renewed at the server's pace", func() bool { return f.count("register "+regNodeID) > 3 })
	f.set(func() {
		if f.ttl[regNodeID] != 20*time.Second {
			t.Errorf("ttl %v, want 20s", f.ttl[regNodeID])
		}
	})
	if err := srv.Stop(); err != nil {
		t.Error(err)
	}
	regEventually(t, 5*time.Second, "deregistered by the server", func() bool { return !f.has(regNodeID) })
	stop()
}

var _ registry.Registry = (*guard.Registry)(nil)
