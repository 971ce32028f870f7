package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/microhq/monitor-srv/setting"
)

// endpoint is the address that a probe connects to over TCP.
type endpoint struct {
	address string
	dial    dialFunc
	tls     *tls.Config // nil for a connection without TLS
}

// newEndpoint checks the keys address and tls.
func newEndpoint(address string, t *setting.TLS, env Env) (endpoint, error) {
	if err := required("address", address); err != nil {
		return endpoint{}, err
	}
	host, port, err := TargetAddr(address)
	if err != nil {
		return endpoint{}, err
	}
	config, err := clientTLS(t, host, env)
	return endpoint{net.JoinHostPort(host, port), env.dialer(), config}, err
}

// clientTLS returns the configuration for a connection to host, or nil without a
// table tls.
func clientTLS(t *setting.TLS, host string, env Env) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	if err := env.refuseKeys(map[string]bool{
		"tls.ca_file": t.CAFile != "", "tls.cert_file": t.CertFile != "", "tls.key_file": t.KeyFile != "",
	}); err != nil {
		return nil, err
	}
	config, err := t.Config()
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	config.ServerName = cmp.Or(config.ServerName, host)
	return config, nil
}

// connect opens a connection whose reads and writes end with ctx. Call release
// before the connection is closed.
func (e endpoint) connect(ctx context.Context, watch *stopwatch) (conn net.Conn, release func(), err error) {
	conn, err = e.dial(watch.resolving(ctx), "tcp", e.address)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting: %w", withCause(ctx, err))
	}
	watch.lap(phaseConnect)
	release = bindDeadline(ctx, conn)
	if e.tls == nil {
		return conn, release, nil
	}
	secure := tls.Client(conn, e.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		release()
		_ = conn.Close()
		return nil, nil, fmt.Errorf("tls handshake: %w", withCause(ctx, err))
	}
	watch.lap(phaseTLS)
	return secure, release, nil
}

// bindDeadline makes reads and writes fail when ctx ends. release undoes it.
func bindDeadline(ctx context.Context, conn net.Conn) (release func()) {
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}
