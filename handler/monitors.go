package handler

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"go-micro.dev/v4/metadata"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/monitor"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/setting"
	"github.com/microhq/monitor-srv/store"
)

// maxDefinition bounds a definition that is registered, in bytes.
const maxDefinition = 64 << 10

// Monitors lists the monitors defined here, by id.
func (m *Monitor) Monitors(_ context.Context, req *monitorpb.MonitorsRequest, rsp *monitorpb.MonitorsResponse) error {
	rsp.Instance, rsp.Started = m.instance, m.started
	limit, offset, err := pageOf(req.Limit, req.Offset)
	if err == nil && monitorpb.MonitorInfo_State_name[int32(req.State)] == "" {
		err = badArgument("state", "%d is not known", req.State)
	}
	if err != nil || m.group == nil {
		return fail(m.log, err)
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
	who, err := m.caller(ctx, access.Operator)
	if err != nil {
		return fail(m.log, err)
	}
	if len(req.Definition) > maxDefinition {
		return fail(m.log, badArgument("definition", "longer than %d bytes", maxDefinition))
	}
	d, err := monitor.ParseOne(req.Definition)
	if err != nil {
		return fail(m.log, badArgument("definition", "%v", err))
	}
	if err := m.policy.Permit(who.role, d.Registration()); err != nil {
		return fail(m.log, err)
	}
	d.Trusted, d.Owner = who.role >= access.Admin, who.owner
	id, err := m.group.Register(d)
	if err != nil {
		return fail(m.log, definitionError(err))
	}
	m.log.Info("a monitor was registered", "monitor", d.Name, "id", id, "role", who.role, "client", who.remote)
	rsp.Monitor, err = m.info(id)
	return fail(m.log, err)
}

// definitionError makes what a kind finds wrong an error of the argument.
func definitionError(err error) error {
	if errors.As(err, new(*monitor.RateError)) {
		return err
	}
	for _, ours := range []error{monitor.ErrExists, monitor.ErrFull, monitor.ErrJournal} {
		if errors.Is(err, ours) {
			return err
		}
	}
	return badArgument("definition", "%v", err)
}

// Unregister ends a monitor for good.
func (m *Monitor) Unregister(ctx context.Context, req *monitorpb.UnregisterRequest, _ *monitorpb.UnregisterResponse) error {
	_, err := m.change(ctx, req.Id, "unregistered", (*monitor.Group).Unregister)
	return fail(m.log, err)
}

// Start starts a monitor that was stopped.
func (m *Monitor) Start(ctx context.Context, req *monitorpb.StartRequest, rsp *monitorpb.StartResponse) (err error) {
	rsp.Monitor, err = m.change(ctx, req.Id, "started", (*monitor.Group).Start)
	return fail(m.log, err)
}

// Stop stops a monitor.
func (m *Monitor) Stop(ctx context.Context, req *monitorpb.StopRequest, rsp *monitorpb.StopResponse) (err error) {
	rsp.Monitor, err = m.change(ctx, req.Id, "stopped", (*monitor.Group).Stop)
	return fail(m.log, err)
}

// Verbosity tells the level of the log, or changes it.
func (m *Monitor) Verbosity(ctx context.Context, req *monitorpb.VerbosityRequest, rsp *monitorpb.VerbosityResponse) error {
	if req.Level != "" {
		who, err := m.caller(ctx, access.Admin)
		if err != nil {
			return fail(m.log, err)
		}
		if err := m.setLevel(req.Level, who); err != nil {
			return fail(m.log, err)
		}
	}
	if m.level != nil {
		rsp.Level = setting.LevelName(m.level.Level())
	}
	return nil
}

func (m *Monitor) setLevel(name string, who caller) error {
	level, err := setting.ParseLevel(name)
	if err != nil {
		return badArgument("level", "%v", err)
	}
	before := m.level.Level()
	// Told before it is set, so that who silences the log is to be seen in it.
	m.level.Set(min(before, level))
	m.log.Warn("the verbosity was changed", "from", setting.LevelName(before), "to", setting.LevelName(level), "role", who.role, "client", who.remote)
	m.level.Set(level)
	return nil
}

// caller is who calls a method that changes something.
type caller struct {
	role   access.Role
	owner  string // of what it registers
	remote string
}

// caller returns who calls, or why it may not do what needs a role.
func (m *Monitor) caller(ctx context.Context, need access.Role) (caller, error) {
	header, _ := metadata.Get(ctx, "Authorization")
	remote, _ := metadata.Get(ctx, "Remote")
	token := access.Bearer(header)
	role, err := m.policy.Identify(token, remote)
	who := caller{role, m.policy.Owner(role, token), remote}
	if token != "" && errors.Is(err, access.ErrUnauthorized) {
		m.log.Warn("a wrong token was given", "client", remote)
	}
	if err == nil {
		err = m.policy.CheckSite(siteOf(ctx))
	}
	if err != nil {
		return who, err
	}
	if m.group == nil {
		return who, access.ErrForbidden
	}
	return who, access.Enough(role, need)
}

// siteOf returns what the transport tells of where a call came from.
func siteOf(ctx context.Context) access.Site {
	host, _ := metadata.Get(ctx, "Host")
	origin, _ := metadata.Get(ctx, "Origin")
	site, _ := metadata.Get(ctx, "Sec-Fetch-Site")
	return access.Site{Host: host, Origin: origin, FetchSite: site}
}

// change does something to one monitor for an operator; done says what.
func (m *Monitor) change(ctx context.Context, id int64, done string, do func(*monitor.Group, int64) error) (*monitorpb.MonitorInfo, error) {
	who, err := m.caller(ctx, access.Operator)
	if err != nil {
		return nil, err
	}
	if id < 1 {
		return nil, badArgument("id", "%d is no id of a monitor: they begin with 1", id)
	}
	if err := do(m.group, id); err != nil {
		return nil, err
	}
	m.log.Info("a monitor was "+done, "id", id, "role", who.role, "client", who.remote)
	info, err := m.group.Get(id)
	if err != nil {
		return nil, nil // it was unregistered, here or meanwhile
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
		Value: finite(i.Value), Error: valid(i.Error), Detail: valid(i.Detail),
		Since: unix(i.Since), LastProbe: unix(i.LastProbe), NextProbe: unix(i.NextProbe),
		Interval: i.Interval.Seconds(), Timeout: i.Timeout.Seconds(),
		Min: i.Thresholds.Min, Max: i.Thresholds.Max,
		Probe: i.Probe, Filter: i.Filter, Actions: i.Actions, Origin: i.Origin,
		Probes: i.Probes, Failures: i.Failures, Missed: i.Missed, Labels: i.Labels,
	}
}

// finite drops what JSON cannot carry.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
