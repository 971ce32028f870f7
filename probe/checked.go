package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/microhq/monitor-srv/text"
)

const (
	// maxReason bounds the text of an error of Probe, in bytes, and
	// maxRestrictedReason that of a restricted probe.
	maxReason           = 512
	maxRestrictedReason = 256
)

// checkedProbe enforces the contract of Probe and Result for every kind.
type checkedProbe struct {
	kind       Probe
	restricted bool
}

// checked returns a kind whose probes are checkedProbes.
func checked(kind Kind) Kind {
	return func(decode func(any) error, env Env) (Probe, error) {
		p, err := kind(decode, env)
		if err != nil {
			return nil, err
		}
		return &checkedProbe{p, env.Restricted}, nil
	}
}

// Probe measures.
func (b *checkedProbe) Probe(ctx context.Context) (Result, error) {
	r, err := b.kind.Probe(ctx)
	r.Detail, r.Cause = printable(r.Detail), printable(r.Cause)
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

// reason returns err with a text of one line within the limit.
func (b *checkedProbe) reason(err error) error {
	if err == nil {
		return nil
	}
	reason, limit := withoutOurPort(err), maxReason
	if b.restricted {
		reason, limit = withoutAddresses(err), maxRestrictedReason
	}
	if reason = text.Line(reason, limit); reason == err.Error() {
		return err
	}
	return &redactedError{reason, err}
}

// withoutOurPort returns the text of an error without the local address of a
// connection. Its port changes with each probe, and the reason of a lasting failure
// should not.
func withoutOurPort(err error) string {
	var op *net.OpError
	if !errors.As(err, &op) || op.Source == nil || op.Addr == nil {
		return err.Error()
	}
	theirs := *op
	theirs.Source = nil
	return strings.ReplaceAll(err.Error(), op.Error(), theirs.Error())
}

// withoutAddresses returns the text of an error without resolved addresses and DNS
// servers, which an operator may not see.
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

// Close closes the probe.
func (b *checkedProbe) Close() error { return b.kind.Close() }
