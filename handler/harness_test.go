package handler

import (
	"context"
	"errors"
	"testing"

	"go-micro.dev/v4/broker"
	stock "go-micro.dev/v4/codec/json"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/ingest"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	"github.com/microhq/monitor-srv/internal/testkit/rpctest"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

func TestMain(m *testing.M) { rpctest.Main(m) }

// view is a store that is fed through package ingest. What is fed is in the store
// when feed returns.
type view struct{ store *store.Store }

func newView() *view { return &view{store.New(store.Config{})} }

func (v *view) feed(t testing.TB, messages ...*broker.Message) {
	t.Helper()
	bus := broker.NewMemoryBroker()
	if err := bus.Connect(); err != nil {
		t.Fatal(err)
	}
	events := ingest.NewEvents(ingest.Config{Store: v.store, Log: testkit.QuietLog()})
	if err := events.Subscribe(bus); err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		var rejected interface{ StatusCode() int } // some are, on purpose
		if err := bus.Publish(m.Header["Topic"], m); err != nil && !errors.As(err, &rejected) {
			t.Fatal(err)
		}
	}
	if err := errors.Join(events.Unsubscribe(), bus.Disconnect()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := events.Run(ctx); err != nil { // drains
		t.Fatal(err)
	}
}

// topics of the bus by the kind of their events.
var topics = map[store.Kind]string{
	store.KindCheck: health.TopicHealthCheck, store.KindStatus: health.TopicStatus, store.KindStats: health.TopicStats,
}

// busMessage is an event as a broker delivers it.
func busMessage(kind store.Kind, contentType string, body []byte) *broker.Message {
	return &broker.Message{Header: map[string]string{"Topic": topics[kind], "Content-Type": contentType}, Body: body}
}

func (v *view) feedMessages(t testing.TB, messages ...proto.Message) {
	t.Helper()
	var all []*broker.Message
	for _, m := range messages {
		all = append(all, busMessage(eventtest.KindOf[store.Kind](m), "application/protobuf", eventtest.Wire(t, m)))
	}
	v.feed(t, all...)
}

var kinds = []store.Kind{store.KindCheck, store.KindStatus, store.KindStats}

func (v *view) monitor() *Monitor {
	return NewMonitor(Config{Store: v.store, Instance: "monitor-1", Log: testkit.QuietLog()})
}

// serve serves m until the test ends.
func serve(tb testing.TB, m *Monitor) *rpctest.Port {
	tb.Helper()
	return rpctest.Serve(tb, func(s server.Server) error { return s.Handle(s.NewHandler(m)) }, JSONCodec())
}

// reference is a Monitor that answers with messages only, as the generated code wants it.
type reference struct{ *Monitor }

var _ monitorpb.MonitorHandler = reference{}

func (r reference) HealthChecks(_ context.Context, req *monitorpb.HealthChecksRequest, rsp *monitorpb.HealthChecksResponse) error {
	rsp.Instance, rsp.Started = r.instance, r.started
	q, err := checkQuery(req)
	if err != nil {
		return rpcError(r.log, err)
	}
	checks, page, err := messages(r.store.Checks, q, store.Check.Proto)
	rsp.HealthChecks, rsp.Total, rsp.Cursor, rsp.More = checks, int64(page.Total), page.Next, page.Next != ""
	return rpcError(r.log, err)
}

// serveReference serves m with messages and the codecs of go-micro.
func serveReference(tb testing.TB, m *Monitor) *rpctest.Port {
	tb.Helper()
	return rpctest.Serve(tb, func(s server.Server) error {
		return monitorpb.RegisterMonitorHandler(s, reference{m})
	}, stock.NewCodec)
}

func read(tb testing.TB, name string) string {
	tb.Helper()
	b := testkit.ReadFile(tb, name)
	return string(b)
}
