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
	role, err := m.caller(ctx, access.Operator)
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
	if err := m.policy.Permit(role, d.Wish()); err != nil {
		return fail(m.log, err)
	}
	d.Trusted = role >= access.Admin
	id, err := m.group.Register(d)
	if err != nil {
		return fail(m.log, definitionError(err))
	}
	rsp.Monitor, err = m.info(id)
	return fail(m.log, err)
}

// definitionError makes what a kind finds wrong an error of the argument.
func definitionError(err error) error {
	for _, ours := range []error{monitor.ErrExists, monitor.ErrFull, monitor.ErrJournal} {
		if errors.Is(err, ours) {
			return err
		}
	}
	return badArgument("definition", "%v", err)
}

// Unregister ends a monitor for good.
func (m *Monitor) Unregister(ctx context.Context, req *monitorpb.UnregisterRequest, _ *monitorpb.UnregisterResponse) error {
	_, err := m.change(ctx, req.Id, (*monitor.Group).Unregister)
	return fail(m.log, err)
}

// Start starts a monitor that was stopped.
func (m *Monitor) Start(ctx context.Context, req *monitorpb.StartRequest, rsp *monitorpb.StartResponse) (err error) {
	rsp.Monitor, err = m.change(ctx, req.Id, (*monitor.Group).Start)
	return fail(m.log, err)
}

// Stop stops a monitor.
func (m *Monitor) Stop(ctx context.Context, req *monitorpb.StopRequest, rsp *monitorpb.StopResponse) (err error) {
	rsp.Monitor, err = m.change(ctx, req.Id, (*monitor.Group).Stop)
	return fail(m.log, err)
}

// Verbosity tells the level of the log, or changes it.
func (m *Monitor) Verbosity(ctx context.Context, req *monitorpb.VerbosityRequest, rsp *monitorpb.VerbosityResponse) error {
	if req.Level != "" {
		if _, err := m.caller(ctx, access.Admin); err != nil {
			return fail(m.log, err)
		}
		if err := m.setLevel(req.Level); err != nil {
			return fail(m.log, err)
		}
	}
	if m.level != nil {
		rsp.Level = setting.LevelName(m.level.Level())
	}
	return nil
}

func (m *Monitor) setLevel(name string) error {
	level, err := setting.ParseLevel(name)
	if err != nil {
		return badArgument("level", "%v", err)
	}
	m.level.Set(level)
	return nil
}

// caller returns the role of who calls, or why it may not do what needs a role.
func (m *Monitor) caller(ctx context.Context, need access.Role) (access.Role, error) {
	header, _ := metadata.Get(ctx, "Authorization")
	remote, _ := metadata.Get(ctx, "Remote")
	role, err := m.policy.Identify(access.Bearer(header), remote)
	if err != nil {
		return role, err
	}
	if m.group == nil {
		return role, access.ErrForbidden
	}
	return role, access.Enough(role, need)
}

// change does something to one monitor for an operator.
func (m *Monitor) change(ctx context.Context, id int64, do func(*monitor.Group, int64) error) (*monitorpb.MonitorInfo, error) {
	if _, err := m.caller(ctx, access.Operator); err != nil {
		return nil, err
	}
	if id < 1 {
		return nil, badArgument("id", "%d is no id of a monitor: they begin with 1", id)
	}
	if err := do(m.group, id); err != nil {
		return nil, err
	}
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
