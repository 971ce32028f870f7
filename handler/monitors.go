package handler

import (
	"context"
	"log/slog"
	"math"
	"time"

	"go-micro.dev/v4/metadata"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/monitor"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/setting"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/text"
)

// Monitors lists the monitors of this instance, by id.
func (m *Monitor) Monitors(_ context.Context, req *monitorpb.MonitorsRequest, rsp *monitorpb.MonitorsResponse) error {
	rsp.Instance, rsp.Started = m.instance, m.started
	limit, offset, err := pageOf(req.Limit, req.Offset)
	if err == nil && monitorpb.MonitorInfo_State_name[int32(req.State)] == "" {
		err = badArgument("state", "%d is not known", req.State)
	}
	if err != nil || m.group == nil {
		return rpcError(m.log, err)
	}
	f := monitor.Filter{ID: req.Id, Name: req.Name}
	if req.State != monitorpb.MonitorInfo_UNKNOWN {
		state := monitor.State(req.State)
		f.State = &state
	}
	list := m.group.List(f)
	rsp.Total = int64(len(list))
	if limit == 0 {
		limit = store.MaxLimit
	}
	list = list[min(offset, len(list)):]
	for _, info := range list[:min(limit, len(list))] {
		rsp.Monitors = append(rsp.Monitors, infoMessage(info))
	}
	return nil
}

// Register starts a monitor at run time.
func (m *Monitor) Register(ctx context.Context, req *monitorpb.RegisterRequest, rsp *monitorpb.RegisterResponse) error {
	c, err := m.caller(ctx, access.Operator)
	if err != nil {
		return rpcError(m.log, err)
	}
	registered, err := m.group.RegisterText(m.policy, c, req.Definition)
	if err != nil {
		return rpcError(m.log, err)
	}
	if !registered.Existed {
		m.changes.Changed(slog.LevelInfo, "monitor registered", c, "monitor", registered.Name, "id", registered.ID)
	}
	rsp.Existed = registered.Existed
	rsp.Monitor, err = m.info(registered.ID)
	return rpcError(m.log, err)
}

// Unregister removes a monitor.
func (m *Monitor) Unregister(ctx context.Context, req *monitorpb.UnregisterRequest, _ *monitorpb.UnregisterResponse) error {
	_, err := m.change(ctx, req, "unregistered", (*monitor.Group).Unregister)
	return rpcError(m.log, err)
}

// Start starts a stopped monitor.
func (m *Monitor) Start(ctx context.Context, req *monitorpb.StartRequest, rsp *monitorpb.StartResponse) (err error) {
	rsp.Monitor, err = m.change(ctx, req, "started", (*monitor.Group).Start)
	return rpcError(m.log, err)
}

// Stop stops a monitor.
func (m *Monitor) Stop(ctx context.Context, req *monitorpb.StopRequest, rsp *monitorpb.StopResponse) (err error) {
	rsp.Monitor, err = m.change(ctx, req, "stopped", (*monitor.Group).Stop)
	return rpcError(m.log, err)
}

// Verbosity returns the level of the log, or changes it.
func (m *Monitor) Verbosity(ctx context.Context, req *monitorpb.VerbosityRequest, rsp *monitorpb.VerbosityResponse) error {
	if req.Level != "" {
		c, err := m.caller(ctx, access.Admin)
		if err != nil {
			return rpcError(m.log, err)
		}
		if err := m.setLevel(req.Level, c); err != nil {
			return rpcError(m.log, err)
		}
	}
	if m.level != nil {
		rsp.Level = setting.LevelName(m.level.Level())
	}
	return nil
}

func (m *Monitor) setLevel(name string, c access.Caller) error {
	level, err := setting.ParseLevel(name)
	if err != nil {
		return badArgument("level", "%v", err)
	}
	before := m.level.Level()
	// Log with the lower level, so that the log shows who raised it.
	m.level.Set(min(before, level))
	m.changes.Changed(slog.LevelWarn, "verbosity changed", c, "from", setting.LevelName(before), "to", setting.LevelName(level))
	m.level.Set(level)
	return nil
}

// caller returns who calls a method that changes something, or an error if the
// caller does not have the role that the method needs.
func (m *Monitor) caller(ctx context.Context, need access.Role) (access.Caller, error) {
	header, _ := metadata.Get(ctx, "Authorization")
	remote, _ := metadata.Get(ctx, "Remote")
	c, err := m.door.Caller(ctx, access.Bearer(header), remote)
	if err == nil {
		err = m.policy.CheckSite(siteOf(ctx))
	}
	if err != nil {
		return c, err
	}
	if m.group == nil {
		return c, access.ErrForbidden
	}
	return c, access.Enough(c.Role, need)
}

// siteOf returns the headers that say where a call came from.
func siteOf(ctx context.Context) access.Site {
	host, _ := metadata.Get(ctx, "Host")
	origin, _ := metadata.Get(ctx, "Origin")
	site, _ := metadata.Get(ctx, "Sec-Fetch-Site")
	return access.Site{Host: host, Origin: origin, FetchSite: site}
}

// monitorRequest is a request about one monitor.
type monitorRequest interface {
	GetId() int64
	GetName() string
}

// idOf returns the id of the monitor that a request is about.
func (m *Monitor) idOf(req monitorRequest) (int64, error) {
	id, name := req.GetId(), req.GetName()
	if name == "" {
		if id < 1 {
			return 0, badArgument("id", "%d is not an id of a monitor: ids begin with 1; give an id or a name", id)
		}
		return id, nil
	}
	named, err := m.group.IDOf(name)
	if err == nil && id != 0 && id != named {
		err = badArgument("name", "%.200q is monitor %d, but the id is %d: give one of them", name, named, id)
	}
	return named, err
}

// change changes one monitor for an operator. done is the past participle for the log.
func (m *Monitor) change(ctx context.Context, req monitorRequest, done string, do func(*monitor.Group, int64) error) (*monitorpb.MonitorInfo, error) {
	c, err := m.caller(ctx, access.Operator)
	if err != nil {
		return nil, err
	}
	id, err := m.idOf(req)
	if err != nil {
		return nil, err
	}
	before, _ := m.group.Get(id)
	if err := do(m.group, id); err != nil {
		return nil, err
	}
	m.changes.Changed(slog.LevelInfo, "monitor "+done, c, "id", id, "monitor", before.Name)
	info, err := m.group.Get(id)
	if err != nil {
		return nil, nil // unregistered, by this call or another one
	}
	return infoMessage(info), nil
}

func (m *Monitor) info(id int64) (*monitorpb.MonitorInfo, error) {
	info, err := m.group.Get(id)
	if err != nil {
		return nil, err
	}
	return infoMessage(info), nil
}

func infoMessage(i monitor.Info) *monitorpb.MonitorInfo {
	return &monitorpb.MonitorInfo{
		Id: i.ID, Name: i.Name, Running: i.Running, Failing: i.Failing,
		State: monitorpb.MonitorInfo_State(i.State),
		Value: finite(i.Value), Error: text.Valid(i.Error), Detail: text.Valid(i.Detail),
		Since: unix(i.Since), LastProbe: unix(i.LastProbe), NextProbe: unix(i.NextProbe),
		Interval: i.Interval.Seconds(), Timeout: i.Timeout.Seconds(),
		Min: i.Thresholds.Min, Max: i.Thresholds.Max,
		Probe: i.Probe, Filter: i.Filter, Actions: i.Actions, Origin: i.Origin,
		Probes: i.Probes, Failures: i.Failures, Missed: i.Missed, Labels: i.Labels,
		StoppedAt: unix(i.StoppedAt),
	}
}

// finite returns 0 for values that JSON cannot represent.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
