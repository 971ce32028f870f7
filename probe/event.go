package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Listener receives what services publish.
type Listener interface {
	// Since is when it began to listen: before that, nothing can have been received. Zero
	// if that was long ago.
	Since() time.Time
	// Watch says that a probe depends on what a service publishes, until end is called.
	Watch(service string) (end func())
}

// warmUp is how long a publisher that was never heard may take to report, since the
// listener began: an interval of a minute and its grace.
const warmUp = 90 * time.Second

// errNeverPublished is the error for a service that published nothing.
var errNeverPublished = errors.New("never published")

// allStopped is the error about a number of nodes that were all stopped on purpose.
type allStopped int

func (nodes allStopped) Error() string {
	if nodes == 1 {
		return "stopped on purpose"
	}
	return fmt.Sprintf("stopped on purpose: all of %d nodes", int(nodes))
}

// withoutStopped returns the reports of nodes that were not stopped on purpose. If there
// are others only, it fails with allStopped.
func withoutStopped[T any](reports []T, stopped func(T) bool) ([]T, error) {
	rest := slices.DeleteFunc(reports, stopped)
	if len(reports) > 0 && len(rest) == 0 {
		return nil, allStopped(len(reports))
	}
	return rest, nil
}

// withoutReport returns the result of a probe that failed with err, if that is not a
// failure: all nodes were stopped on purpose, or a publisher that was never heard may still
// report for the first time.
func withoutReport(l Listener, err error, stoppedIsFailure bool) (Result, bool) {
	var stopped allStopped
	switch {
	case errors.As(err, &stopped) && !stoppedIsFailure:
		return Result{Stopped: true, Detail: stopped.Error()}, true
	case errors.Is(err, errNeverPublished) && time.Since(l.Since()) < warmUp:
		return Result{Pending: true, Detail: "no report yet"}, true
	}
	return Result{}, false
}

// EventSource provides the health checks that services published.
type EventSource interface {
	Listener
	// Checks returns the latest report of the check from each node of the service, or
	// from one node if node is not empty, also from stopped ones. A check that was never
	// published has none; that is not an error.
	Checks(ctx context.Context, service, check, node string) ([]Check, error)
}

// CheckStatus is the published status of a check.
type CheckStatus int

// The statuses of a check, from best to worst.
const (
	CheckOK CheckStatus = iota
	CheckWarning
	CheckError
	CheckUnknown
)

// String returns the name of the status on the bus.
func (s CheckStatus) String() string {
	switch s {
	case CheckOK:
		return "OK"
	case CheckWarning:
		return "WARNING"
	case CheckError:
		return "ERROR"
	}
	return "UNKNOWN"
}

// Check is the latest report of a check from one node.
type Check struct {
	Node   string
	Status CheckStatus
	// Age is the time since the report was received.
	Age time.Duration
	// Stale is set if the next report is overdue.
	Stale bool
	// Stopped is set if the node has been stopped on purpose since the report.
	Stopped bool
	// Error is the error that the publisher reported.
	Error string
}

// eventConfig holds the keys of the kind event.
type eventConfig struct {
	// Service and Check name a published health check.
	Service string `toml:"service"`
	Check   string `toml:"check"`
	// Node is the node whose report counts; empty for the worst of all.
	Node string `toml:"node"`
	// StoppedIsFailure makes it a failure that all nodes were stopped on purpose.
	StoppedIsFailure bool `toml:"stopped_is_failure"`
}

type eventProbe struct {
	config eventConfig
	events EventSource
	end    func() // of the watch
}

func newEvent(decode func(any) error, env Env) (Probe, error) {
	var c eventConfig
	if err := decode(&c); err != nil {
		return nil, err
	}
	if err := cmp.Or(env.localOnly(), required("service", c.Service), required("check", c.Check)); err != nil {
		return nil, err
	}
	if env.Events == nil {
		return nil, errors.New("published health checks are not available here")
	}
	return &eventProbe{config: c, events: env.Events, end: env.Events.Watch(c.Service)}, nil
}

// Probe evaluates the latest reports. The value is 0 for OK, 0.5 for WARNING and 1
// for ERROR. Stale and UNKNOWN reports are failures. Those of nodes that were stopped on
// purpose do not count.
func (p *eventProbe) Probe(ctx context.Context) (Result, error) {
	worst, nodes, err := p.worst(ctx)
	if r, ok := withoutReport(p.events, err, p.config.StoppedIsFailure); ok {
		return r, nil
	}
	if err != nil {
		return Result{Value: failedValue}, fmt.Errorf("check %q of %s: %w", p.config.Check, p.config.Service, withCause(ctx, err))
	}
	return p.result(worst, nodes)
}

// worst returns the worst report and how many nodes there are, without stopped ones.
func (p *eventProbe) worst(ctx context.Context) (Check, int, error) {
	checks, err := p.events.Checks(ctx, p.config.Service, p.config.Check, p.config.Node)
	if err != nil {
		return Check{}, 0, err
	}
	checks, err = withoutStopped(checks, func(c Check) bool { return c.Stopped })
	if err != nil {
		return Check{}, 0, err
	}
	worst, err := worstCheck(checks)
	return worst, len(checks), err
}

// worstCheck returns the worst report that is not stale, or an error if all are
// stale. A stale report is ignored as long as another node reports, unless its node was
// named.
func worstCheck(checks []Check) (Check, error) {
	if len(checks) == 0 {
		return Check{}, errNeverPublished
	}
	var worst *Check
	youngest := checks[0].Age
	for i, c := range checks {
		youngest = min(youngest, c.Age)
		if !c.Stale && (worst == nil || c.Status > worst.Status) {
			worst = &checks[i]
		}
	}
	if worst == nil {
		return Check{}, fmt.Errorf("no report for %v", youngest.Round(time.Second))
	}
	return *worst, nil
}

func (p *eventProbe) result(c Check, nodes int) (Result, error) {
	r := Result{Detail: fmt.Sprintf("%v, published by %q %v ago", c.Status, c.Node, c.Age.Round(time.Second))}
	if nodes > 1 {
		r.Detail = fmt.Sprintf("worst of %d nodes: %s", nodes, r.Detail)
	}
	if c.Error != "" {
		r.Detail += ": " + c.Error
	}
	if c.Status != CheckOK {
		r.Cause = r.Detail
	}
	switch c.Status {
	case CheckOK:
	case CheckWarning:
		r.Value, r.Warning = 0.5, true
	case CheckError:
		r.Value = 1
	default:
		r.Value = failedValue
		return r, fmt.Errorf("check %q of %s: the publisher reports %v (%s)", p.config.Check, p.config.Service, c.Status, r.Detail)
	}
	return r, nil
}

// Close ends the watch.
func (p *eventProbe) Close() error {
	p.end()
	return nil
}
