package handler

import (
	"context"
	"log/slog"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/monitor"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

// MonitorConfig configures a Monitor.
type Config struct {
	// Store has the answers. Required.
	Store *store.Store
	// Group runs the monitors that are defined here. Nil means there are none.
	Group *monitor.Group
	// Policy says who may change them.
	Policy access.Policy
	// Level is the verbosity of the log. Required if there is a Group.
	Level *slog.LevelVar
	// Instance is the node id of this instance, told in every answer, because
	// replicas may know different things.
	Instance string
	// Log gets what callers are not told. slog.Default() if nil.
	Log *slog.Logger
	// MaxWaiting is how many calls of Watch may wait at once, 1,000 if zero. Calls
	// beyond that are answered at once.
	MaxWaiting int
}

// Monitor answers the calls of the service Monitor of proto/monitor, where its
// methods are described. Those that read may be repeated; those that change
// something want a token in the metadata Authorization.
//
// An answer holds at most about 4 MiB of a list. If the entries of a page take
// more, it ends early: whoever walks by offset goes on from as many as it got. One
// entry is never cut, though a version may have thousands of nodes.
//
// Its errors are those of go-micro, with the id go.micro.srv.monitor: 400 with
// the name of the field for an argument that cannot be, 404 for a service, node
// or check that is not known, and 500.
type Monitor struct {
	store    *store.Store
	instance string
	started  int64
	log      *slog.Logger
	waiting  chan struct{}

	group  *monitor.Group
	policy access.Policy
	level  *slog.LevelVar
}

var _ monitorpb.MonitorHandler = (*Monitor)(nil)

// NewMonitor returns a Monitor.
func NewMonitor(cfg Config) *Monitor {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.MaxWaiting <= 0 {
		cfg.MaxWaiting = 1000
	}
	return &Monitor{
		store:    cfg.Store,
		instance: cfg.Instance,
		started:  cfg.Store.Started().Unix(),
		log:      cfg.Log,
		waiting:  make(chan struct{}, cfg.MaxWaiting),
		group:    cfg.Group,
		policy:   cfg.Policy,
		level:    cfg.Level,
	}
}

// Services lists the versions of services that were heard of, with their nodes.
func (m *Monitor) Services(_ context.Context, req *monitorpb.ServicesRequest, rsp *monitorpb.ServicesResponse) error {
	rsp.Instance, rsp.Started = m.instance, m.started
	limit, offset, err := pageOf(req.Limit, req.Offset)
	if err != nil {
		return rpcError(m.log, err)
	}
	if limit == 0 {
		limit = store.MaxLimit
	}
	q := store.Query{Service: req.Service, Limit: limit, Offset: offset}
	services, page, err := messages(m.store.Services, q, store.Version.Proto)
	if err != nil {
		return rpcError(m.log, err)
	}
	rsp.Services, rsp.Total = services, int64(page.Total)
	return nil
}

// Status lists the state of versions, or of nodes if the request is verbose.
func (m *Monitor) Status(_ context.Context, req *monitorpb.StatusRequest, rsp *monitorpb.StatusResponse) error {
	rsp.Instance, rsp.Started = m.instance, m.started
	q, err := nodeQuery(req)
	if err != nil {
		return rpcError(m.log, err)
	}
	find := m.store.Summary
	if req.Verbose {
		find = m.store.Nodes
	}
	statuses, page, err := messages(find, q, store.NodeStatus.Proto)
	if err != nil {
		return rpcError(m.log, err)
	}
	rsp.Statuses, rsp.Total, rsp.Cursor = statuses, int64(page.Total), page.Next
	return nil
}

// Stats lists the newest figures of each node.
func (m *Monitor) Stats(_ context.Context, req *monitorpb.StatsRequest, rsp *monitorpb.StatsResponse) error {
	rsp.Instance, rsp.Started = m.instance, m.started
	q, err := nodeQuery(req)
	if err != nil {
		return rpcError(m.log, err)
	}
	stats, page, err := messages(m.store.Stats, q, store.NodeStats.Proto)
	if err != nil {
		return rpcError(m.log, err)
	}
	rsp.Stats, rsp.Total, rsp.Cursor = stats, int64(page.Total), page.Next
	return nil
}

// History lists transitions, newest first.
func (m *Monitor) History(_ context.Context, req *monitorpb.HistoryRequest, rsp *monitorpb.HistoryResponse) error {
	rsp.Instance, rsp.Started = m.instance, m.started
	limit, _, err := pageOf(req.Limit, 0)
	if err == nil && req.BeforeSeq < 0 {
		err = badArgument("before_seq", "%d is negative", req.BeforeSeq)
	}
	if err != nil {
		return rpcError(m.log, err)
	}
	q := store.TransitionQuery{Service: req.Service, Node: req.Node, ID: req.Id, Limit: limit}
	found, more, oldest, err := m.store.History(q, req.BeforeSeq)
	if err != nil {
		return rpcError(m.log, err)
	}
	rsp.Transitions = transitions(found)
	rsp.More, rsp.OldestSeq = more, oldest
	return nil
}

func transitions(found []store.Transition) []*monitorpb.Transition {
	all := make([]*monitorpb.Transition, len(found))
	for i, t := range found {
		all[i] = &monitorpb.Transition{
			Seq:       t.Seq,
			Timestamp: t.Time.Unix(),
			Service: &healthpb.Service{
				Name:    t.Service,
				Version: t.Version,
				Id:      t.Node,
				Nodes:   []*healthpb.Node{{Id: t.Node}},
			},
			Id:    t.ID,
			From:  t.From,
			To:    t.To,
			Why:   t.Why,
			Error: t.Error,
		}
	}
	return all
}
