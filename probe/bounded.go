package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

const (
	// maxReason bounds the text of an error of Probe, in bytes, and
	// maxRestrictedReason that of a restricted probe.
	maxReason           = 512
	maxRestrictedReason = 256
)

// bounded keeps the promises of Probe and Result for every kind.
type bounded struct {
	kind       Probe
	restricted bool
}

// keepPromises returns a kind whose probes keep the promises of Probe.
func keepPromises(kind Kind) Kind {
	return func(decode func(any) error, env Env) (Probe, error) {
		p, err := kind(decode, env)
		if err != nil {
			return nil, err
		}
		return &bounded{p, env.Restricted}, nil
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
	return r, b.reason(err)
}

// reason returns an error whose text is one line within the limit.
func (b *bounded) reason(err error) error {
	if err == nil {
		return nil
	}
	text, limit := withoutOurPort(err), maxReason
	if b.restricted {
		text, limit = withoutAddresses(err), maxRestrictedReason
	}
	if text = oneLine(text, limit); text == err.Error() {
		return err
	}
	return &redacted{text, err}
}

// withoutOurPort returns the text of an error without our own end of a connection.
// Its port is another each time, and a reason that stays should read the same.
func withoutOurPort(err error) string {
	var op *net.OpError
	if !errors.As(err, &op) || op.Source == nil || op.Addr == nil {
		return err.Error()
	}
	theirs := *op
	theirs.Source = nil
	return strings.ReplaceAll(err.Error(), op.Error(), theirs.Error())
}

// withoutAddresses returns the text of an error without what it tells of how
// names are resolved here: the addresses behind them and the servers asked.
func withoutAddresses(err error) string {
	text := err.Error()
	var op *net.OpError
	if errors.As(err, &op) {
		text = strings.ReplaceAll(text, op.Error(), op.Op+": "+op.Err.Error())
	}
	var lookup *net.DNSError
	if errors.As(err, &lookup) {
		text = strings.ReplaceAll(text, lookup.Error(), "looking up the name: "+lookup.Err)
	}
	return text
}

// Close closes the probe of the kind.
func (b *bounded) Close() error { return b.kind.Close() }
