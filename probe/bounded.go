package probe

import (
	"context"
	"fmt"
)

const (
	// maxReason bounds the text of an error of Probe, in bytes, and
	// maxRestrictedReason that of a restricted probe.
	maxReason           = 512
	maxRestrictedReason = 256
)

// bounded keeps the promises of Probe and Result for every kind.
type bounded struct {
	kind      Probe
	maxReason int
}

// keepPromises returns a kind whose probes keep the promises of Probe.
func keepPromises(kind Kind) Kind {
	return func(decode func(any) error, env Env) (Probe, error) {
		p, err := kind(decode, env)
		if err != nil {
			return nil, err
		}
		if env.Restricted {
			return &bounded{p, maxRestrictedReason}, nil
		}
		return &bounded{p, maxReason}, nil
	}
}

// Probe measures.
func (b *bounded) Probe(ctx context.Context) (Result, error) {
	r, err := b.kind.Probe(ctx)
	r.Detail = printable(r.Detail)
	if err == nil {
		if bad := checkFinite(r.Value); bad != nil {
			err = fmt.Errorf("the value %w", bad)
		}
	}
	if checkFinite(r.Value) != nil {
		r.Value = 0
	}
	if err != nil {
		if text := oneLine(err.Error(), b.maxReason); text != err.Error() {
			err = &redacted{text, err}
		}
	}
	return r, err
}

// Close closes the probe of the kind.
func (b *bounded) Close() error { return b.kind.Close() }
