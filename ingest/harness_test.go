package ingest

import (
	"testing"

	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/handler"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	"github.com/microhq/monitor-srv/internal/testkit/rpctest"
	"github.com/microhq/monitor-srv/store"
)

func TestMain(m *testing.M) { rpctest.Main(m) }

// view is a store with the door in front of it. What is fed is in the store when
// feed returns.
type view struct {
	store  *store.Store
	events *Events
}

func newView() *view { return newViewOf(store.Config{}) }

func newViewOf(cfg store.Config) *view {
	st := store.New(cfg)
	return &view{st, NewEvents(Config{Store: st, Log: testkit.QuietLog()})}
}

func (v *view) feed(kind store.Kind, contentType string, body []byte) {
	v.events.receive(kind, map[string]string{"Content-Type": contentType}, body, false)
	v.events.put(v.events.queue.take(make([]*item, 0, batchCount)))
}

func (v *view) feedMessages(t testing.TB, messages ...proto.Message) {
	t.Helper()
	for _, m := range messages {
		v.feed(eventtest.KindOf[store.Kind](m), "application/protobuf", eventtest.Wire(t, m))
	}
}

func (v *view) monitor() *handler.Monitor {
	return handler.NewMonitor(handler.Config{Store: v.store, Instance: "monitor-1", Log: testkit.QuietLog()})
}

func serve(tb testing.TB, m *handler.Monitor) *rpctest.Port {
	tb.Helper()
	return rpctest.Serve(tb, func(s server.Server) error { return s.Handle(s.NewHandler(m)) }, handler.JSONCodec())
}
