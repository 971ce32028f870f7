package probe

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
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
	log       *slog.Logger
}

// keepPromises returns a kind whose probes keep the promises of Probe.
func keepPromises(kind Kind) Kind {
	return func(decode func(any) error, env Env) (Probe, error) {
		p, err := kind(decode, env)
		if err != nil {
			return nil, err
		}
		b := &bounded{kind: p, maxReason: maxReason, log: env.Log}
		if env.Restricted {
			b.maxReason = maxRestrictedReason
		}
		if b.log == nil {
			b.log = slog.New(slog.DiscardHandler)
		}
		return b, nil
	}
}

// Probe measures, and turns a panic of a library into a failure.
func (b *bounded) Probe(ctx context.Context) (r Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("a probe panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			r, err = Result{}, fmt.Errorf("the probe panicked: %s", printable(fmt.Sprint(p)))
		}
	}()
	r, err = b.kind.Probe(ctx)
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
