package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go-micro.dev/v4/client"
	merrors "go-micro.dev/v4/errors"

	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/probe"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

// RemoteConfig configures a Remote.
type RemoteConfig struct {
	// Registry is where services are found. It must run. Required.
	Registry *guardregistry.Registry
	// Client calls services of that registry. Required.
	Client client.Client
	// Instance is the name of the service that receives what others publish.
	// Required.
	Instance string
	// Settings names the settings that select another registry, for errors.
	// Required.
	Settings string
}

// A Remote answers probes in a process that is not an instance. It calls services, and
// queries an instance, found through the same registry, for what services have
// published. The zero Remote finds nothing.
type Remote struct {
	cfg    RemoteConfig
	caller Caller
	// opening is what the registry says of itself until it is open or has failed.
	opening string
}

var (
	_ probe.Caller      = (*Remote)(nil)
	_ probe.EventSource = (*Remote)(nil)
	_ probe.StatsSource = (*Remote)(nil)
)

var errNoRegistry = errors.New("no registry is open")

// Open sets the registry of a zero Remote. It must be called before any query.
func (r *Remote) Open(cfg RemoteConfig) {
	r.cfg, r.opening = cfg, cfg.Registry.State().Reason
	r.caller = NewCaller(cfg.Registry, cfg.Client)
}

// ready waits until the registry is open or says why it is not.
func (r *Remote) ready(ctx context.Context) error {
	if r.cfg.Registry == nil {
		return errNoRegistry
	}
	for {
		if s := r.cfg.Registry.State(); s.OK || s.Reason != r.opening {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New(r.opening)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Nodes implements probe.Caller.
func (r *Remote) Nodes(ctx context.Context, service string) ([]probe.Node, error) {
	if err := r.ready(ctx); err != nil {
		return nil, err
	}
	return r.caller.Nodes(ctx, service)
}

// Call implements probe.Caller.
func (r *Remote) Call(ctx context.Context, call probe.Call) (json.RawMessage, error) {
	if err := r.ready(ctx); err != nil {
		return nil, err
	}
	return r.caller.Call(ctx, call)
}

// instance returns a client of a running instance, or says that there is none.
func (r *Remote) instance(ctx context.Context) (monitorpb.MonitorService, error) {
	name := r.cfg.Instance
	nodes, err := r.Nodes(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("looking for an instance of %s, which receives what services publish: %w; %s name another registry", name, err, r.cfg.Settings)
	}
	if len(nodes) == 0 {
		where := r.cfg.Registry.String()
		if address := r.cfg.Registry.Options().Addrs[0]; address != "" {
			where += " at " + address
		}
		return nil, fmt.Errorf("no instance of %s, which receives what services publish, is found in the registry %s: start one, or name another registry with %s", name, where, r.cfg.Settings)
	}
	return monitorpb.NewMonitorService(name, r.cfg.Client), nil
}

// Since implements probe.Listener: whether it is too early to say is up to people.
func (*Remote) Since() time.Time { return time.Time{} }

// Watch implements probe.Listener.
func (*Remote) Watch(string) (end func()) { return func() {} }

// Checks implements probe.EventSource.
func (r *Remote) Checks(ctx context.Context, service, check, node string) ([]probe.Check, error) {
	instance, err := r.instance(ctx)
	if err != nil {
		return nil, err
	}
	req := &monitorpb.HealthChecksRequest{Service: service, Id: check, Node: node, Limit: store.MaxLimit, Missing: true}
	all, err := r.allChecks(ctx, instance, req)
	var checks []probe.Check
	for _, c := range all {
		reported, stale := c.Status, c.Missing
		if c.Reported != healthpb.HealthCheck_UNKNOWN { // it is judged otherwise
			reported, stale = c.Reported, true
		}
		checks = append(checks, probe.Check{
			Node: c.GetService().GetId(), Status: statusOf(reported), Age: ageOf(c.Received), Stale: stale,
			Stopped: c.Stopped, Error: c.Error,
		})
	}
	return checks, err
}

// allChecks queries all pages. An unknown service has none.
func (r *Remote) allChecks(ctx context.Context, instance monitorpb.MonitorService, req *monitorpb.HealthChecksRequest) ([]*healthpb.HealthCheck, error) {
	var all []*healthpb.HealthCheck
	for {
		rsp, err := instance.HealthChecks(ctx, req, untilDeadline(ctx)...)
		if err != nil {
			return all, r.unlessNotFound(err)
		}
		all = append(all, rsp.HealthChecks...)
		if req.Cursor = rsp.Cursor; req.Cursor == "" {
			return all, nil
		}
	}
}

func (r *Remote) unlessNotFound(err error) error {
	if merrors.FromError(err).Code == 404 {
		return nil
	}
	return fmt.Errorf("asking an instance of %s: %w", r.cfg.Instance, sentence(err))
}

// Stats implements probe.StatsSource.
func (r *Remote) Stats(ctx context.Context, service string) ([]probe.NodeStats, error) {
	instance, err := r.instance(ctx)
	if err != nil {
		return nil, err
	}
	req := &monitorpb.StatsRequest{Service: service, Limit: store.MaxLimit, Missing: true}
	var all []probe.NodeStats
	for {
		rsp, err := instance.Stats(ctx, req, untilDeadline(ctx)...)
		if err != nil {
			return all, r.unlessNotFound(err)
		}
		for _, p := range rsp.Stats {
			out := nodeStats(p, p.GetService().GetId(), ageOf(p.Received))
			out.Stale, out.Stopped = overdue(out.Age, time.Duration(p.Interval)*time.Second), p.Stopped
			all = append(all, out)
		}
		if req.Cursor = rsp.Cursor; req.Cursor == "" {
			return all, nil
		}
	}
}

// overdue reports whether the next stats are. The instance knows better after its own
// restart, but does not say.
func overdue(age, interval time.Duration) bool { return age > interval+max(interval/2, 2*time.Second) }

// ageOf is the time since an event arrived, as far as clocks agree.
func ageOf(received int64) time.Duration {
	return max(0, time.Since(time.Unix(received, 0)))
}
