package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// EventSource provides the health checks that services published.
type EventSource interface {
	// Checks returns the latest report of the check from each node of the service, or
	// from one node if node is not empty. A check that was never published has none;
	// that is not an error.
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
}

type eventProbe struct {
	config eventConfig
	events EventSource
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
	return &eventProbe{config: c, events: env.Events}, nil
}

// Probe evaluates the latest reports. The value is 0 for OK, 0.5 for WARNING and 1
// for ERROR. Stale and UNKNOWN reports are failures.
func (p *eventProbe) Probe(ctx context.Context) (Result, error) {
	checks, err := p.events.Checks(ctx, p.config.Service, p.config.Check, p.config.Node)
	if err == nil {
		var worst Check
		if worst, err = worstCheck(checks); err == nil {
			return p.result(worst, len(checks))
		}
	}
	return Result{Value: failedValue}, fmt.Errorf("check %q of %s: %w", p.config.Check, p.config.Service, withCause(ctx, err))
}

// worstCheck returns the worst report that is not stale, or an error if all are
// stale. A node that was shut down is stale too, so a stale report is ignored as long
// as another node reports, unless its node was named.
func worstCheck(checks []Check) (Check, error) {
	if len(checks) == 0 {
		return Check{}, errors.New("never published")
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

// Close does nothing: the probe holds nothing.
func (p *eventProbe) Close() error { return nil }
