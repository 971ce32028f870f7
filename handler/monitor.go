package handler

import (
	"context"
	"log/slog"

	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/connlimit"
	"github.com/microhq/monitor-srv/monitor"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

// Config of a Monitor.
type Config struct {
	// Store is where the answers come from. Required.
	Store *store.Store
	// Group runs the monitors of this instance. Nil means none.
	Group *monitor.Group
	// Policy decides who may change monitors.
	Policy access.Policy
	// Changes gets the lines about changes and wrong tokens; by default they go to Log.
	Changes *access.Log
	// Level is the verbosity of the log. Required with a Group.
	Level *slog.LevelVar
	// Instance is the node id of this instance. Every answer has it, because replicas
	// may have different views.
	Instance string
	// Log gets internal errors, which callers do not see. slog.Default() if nil.
	Log *slog.Logger
	// MaxWaiting bounds the calls of Watch that wait, 1,000 if zero. When another one comes,
	// the one that has waited longest is answered, first of an address that holds more
	// than its share.
	MaxWaiting int
}

// Monitor implements the service Monitor of proto/monitor, where the methods are
// described. Serve it with server.NewHandler, not RegisterMonitorHandler: the answer of
// HealthChecks has a type of its own. Methods that change something need a token in the metadata
// Authorization.
//
// An answer contains at most about 4 MiB of a list. A page with larger entries ends
// early: clients that page by offset continue after the entries they got. An entry is
// never cut, although a version may have thousands of nodes.
//
// Errors are those of go-micro, with the id go.micro.srv.monitor: 400 with the name
// of the field for an invalid argument, 404 for an unknown service, node, check or
// monitor, the codes of monitor.StatusCode for changes, and 500.
type Monitor struct {
	store    *store.Store
	instance string
	started  int64
	log      *slog.Logger
	waiting  *connlimit.Places

	group   *monitor.Group
	policy  access.Policy
	door    *access.Door
	changes *access.Log
	level   *slog.LevelVar
}

// NewMonitor returns a Monitor.
func NewMonitor(cfg Config) *Monitor {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Changes == nil {
		cfg.Changes = access.NewLog(cfg.Log)
	}
	if cfg.MaxWaiting <= 0 {
		cfg.MaxWaiting = 1000
	}
	return &Monitor{
		store:    cfg.Store,
		instance: cfg.Instance,
		started:  cfg.Store.Started().Unix(),
		log:      cfg.Log,
		waiting:  connlimit.NewPlaces(connlimit.Limits{Max: cfg.MaxWaiting}),
		group:    cfg.Group,
		policy:   cfg.Policy,
		door:     access.NewDoor(cfg.Policy, cfg.Changes),
		changes:  cfg.Changes,
		level:    cfg.Level,
	}
}

// Services lists the known versions of services, with their nodes.
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

// Status lists the status of versions, or of nodes if the request is verbose.
func (m *Monitor) Status(_ context.Context, req *monitorpb.StatusRequest, rsp *monitorpb.StatusResponse) (err error) {
	rsp.Instance, rsp.Started = m.instance, m.started
	statuses, err := enumFilter("statuses", 0, "statuses", req.Statuses)
	if err == nil && len(statuses) > 0 && !req.Verbose {
		err = badArgument("statuses", "needs verbose: a version has nodes of several statuses")
	}
	if err != nil {
		return rpcError(m.log, err)
	}
	find := m.store.Summary
	if req.Verbose {
		find = func(q store.Query) (store.Page[store.NodeStatus], error) {
			q.NodeStatuses = statuses
			return m.store.Nodes(q)
		}
	}
	rsp.Statuses, rsp.Total, rsp.Cursor, err = nodePages(m, req, find, store.NodeStatus.Proto)
	rsp.More = rsp.Cursor != ""
	return err
}

// Stats lists the newest stats of each node.
func (m *Monitor) Stats(_ context.Context, req *monitorpb.StatsRequest, rsp *monitorpb.StatsResponse) (err error) {
	rsp.Instance, rsp.Started = m.instance, m.started
	rsp.Stats, rsp.Total, rsp.Cursor, err = nodePages(m, req, m.store.Stats, store.NodeStats.Proto)
	rsp.More = rsp.Cursor != ""
	return err
}

// nodePages answers a request with one row per node.
func nodePages[T any, M proto.Message](
	m *Monitor, req nodePage, find func(store.Query) (store.Page[T], error), message func(T) M,
) (all []M, total int64, cursor string, err error) {
	q, err := nodeQuery(req)
	if err != nil {
		return nil, 0, "", rpcError(m.log, err)
	}
	all, page, err := messages(find, q, message)
	if err != nil {
		return nil, 0, "", rpcError(m.log, err)
	}
	return all, int64(page.Total), page.Next, nil
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
