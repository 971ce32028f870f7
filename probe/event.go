package probe

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// EventSource knows the health checks that services published.
type EventSource interface {
	// Checks returns the newest report of the check by each node of the service,
	// or by one node only if node is not empty. A check that nobody published has
	// none, and that is no error.
	Checks(ctx context.Context, service, check, node string) ([]Check, error)
}

// CheckStatus is what a publisher says of a check.
type CheckStatus int

// The statuses of a check, from best to worst.
const (
	CheckOK CheckStatus = iota
	CheckWarning
	CheckError
	CheckUnknown
)

// String returns the name of the status as the bus knows it.
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

// Check is the newest report of a check by one node.
type Check struct {
	Node   string
	Status CheckStatus
	// Age is the time since the report arrived.
	Age time.Duration
	// Silent is set if the next report is overdue.
	Silent bool
	// Error is what the publisher says is wrong.
	Error string
}

// eventConfig holds the keys of the kind event.
type eventConfig struct {
	// Service and Check name a health check that is published.
	Service string `toml:"service"`
	Check   string `toml:"check"`
	// Node whose report counts; the worst of all that report, if empty.
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
	if err := env.localOnly(); err != nil {
		return nil, err
	}
	if err := required("service", c.Service); err != nil {
		return nil, err
	}
	if err := required("check", c.Check); err != nil {
		return nil, err
	}
	if env.Events == nil {
		return nil, errors.New("published health checks are not available here")
	}
	return &eventProbe{config: c, events: env.Events}, nil
}

// Probe looks at the newest reports. The value is 0 for OK, 0.5 for WARNING and 1
// for ERROR. Silence and UNKNOWN are failures.
func (p *eventProbe) Probe(ctx context.Context) (Result, error) {
	checks, err := p.events.Checks(ctx, p.config.Service, p.config.Check, p.config.Node)
	if err == nil {
		var worst Check
		if worst, err = worstCheck(checks); err == nil {
			return p.result(worst, len(checks))
		}
	}
	return Result{Value: failedValue}, fmt.Errorf("check %q of %s: %w", p.config.Check, p.config.Service, ended(ctx, err))
}

// worstCheck returns the worst of the reports that are not overdue, or an error
// if all are. A node that is gone for good is silent too, so one that is silent
// counts only if no other reports, or if it was asked for by its name.
func worstCheck(checks []Check) (Check, error) {
	if len(checks) == 0 {
		return Check{}, errors.New("never published")
	}
	var worst *Check
	youngest := checks[0].Age
	for i, c := range checks {
		youngest = min(youngest, c.Age)
		if !c.Silent && (worst == nil || c.Status > worst.Status) {
			worst = &checks[i]
		}
	}
	if worst == nil {
		return Check{}, fmt.Errorf("silent for %v", youngest.Round(time.Second))
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
		return r, fmt.Errorf("check %q of %s: its publisher says %v", p.config.Check, p.config.Service, c.Status)
	}
	return r, nil
}

// Close does nothing: what was published belongs to others.
func (p *eventProbe) Close() error { return nil }
