package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/setting"
)

// endpoint is the address that a probe connects to over TCP.
type endpoint struct {
	network, address string
	dial             dialFunc
	tls              *tls.Config // nil for a connection without TLS
}

// newEndpoint checks the keys address, unix and tls.
func newEndpoint(address, unix string, t *setting.TLS, env Env) (endpoint, error) {
	if unix != "" {
		return newUnixEndpoint(address, unix, t, env)
	}
	if err := required("address", address); err != nil {
		return endpoint{}, err
	}
	host, port, err := TargetAddr(address)
	if err != nil {
		return endpoint{}, err
	}
	config, err := clientTLS(t, host, env)
	return endpoint{"tcp", net.JoinHostPort(host, port), env.dialer(), config}, err
}

func newUnixEndpoint(address, path string, t *setting.TLS, env Env) (endpoint, error) {
	if err := env.refuseKeys(map[string]bool{"unix": true}); err != nil {
		return endpoint{}, err
	}
	if address != "" {
		return endpoint{}, errors.New("give only one of address and unix")
	}
	if err := checkUnix(path); err != nil {
		return endpoint{}, err
	}
	config, err := clientTLS(t, "localhost", env)
	return endpoint{"unix", path, env.dialer(), config}, err
}

// checkUnix checks the path of a socket. The kernel takes at most 107 bytes
// (unix(7)).
func checkUnix(path string) error {
	switch {
	case strings.Contains(path, "://"): // may hold a password: it is not shown
		return errors.New("unix: want the path of a socket, not a URL")
	case !filepath.IsAbs(path):
		return fmt.Errorf("unix: %q is not an absolute path", printable(path))
	case len(path) > 107 || strings.ContainsRune(path, 0):
		return fmt.Errorf("unix: %q is not the path of a socket: want at most 107 bytes", printable(path))
	}
	return nil
}

// name is how errors call the endpoint: address as it was configured, or the socket.
func (e endpoint) name(address string) string {
	if e.network == "unix" {
		return "unix:" + printable(e.address)
	}
	return address
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
	config.ServerName = cmp.Or(config.ServerName, setting.WithoutZone(host))
	return config, nil
}

// connect opens a connection whose reads and writes end with ctx. Call release
// before the connection is closed.
func (e endpoint) connect(ctx context.Context, watch *stopwatch) (conn net.Conn, release func(), err error) {
	conn, err = e.dial(watch.resolving(ctx), e.network, e.address)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting: %w", withCause(ctx, err))
	}
	watch.lap(phaseConnect)
	release = bindDeadline(ctx, conn)
	if e.tls == nil {
		return conn, release, nil
	}
	return e.secure(ctx, conn, release, watch)
}

// plain returns the endpoint without TLS.
func (e endpoint) plain() endpoint {
	e.tls = nil
	return e
}

// secure makes an open connection secure. It closes it on an error.
func (e endpoint) secure(ctx context.Context, conn net.Conn, release func(), watch *stopwatch) (net.Conn, func(), error) {
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
