package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/microhq/monitor-srv/setting"
)

// tcpConfig holds the keys of the kind tcp.
type tcpConfig struct {
	// Address is host:port.
	Address string `toml:"address"`
	// Send is sent once connected, as it stands.
	Send setting.Secret `toml:"send"`
	// Expect is a regular expression that what comes back must match.
	Expect string `toml:"expect"`
	// TLS, if given at all, begins the connection with a TLS handshake.
	TLS *setting.TLS `toml:"tls"`
	// Measure is status (0 if all is as expected), latency in seconds, or
	// cert_days until the first certificate expires.
	Measure string `toml:"measure"`
}

// maxReply bounds what is read of a reply while looking for what is expected.
const maxReply = 64 << 10

type tcpProbe struct {
	config     tcpConfig
	restricted bool
	dial       dialFunc
	tls        *tls.Config
	expect     *pattern
}

func newTCP(decode func(any) error, env Env) (Probe, error) {
	c := tcpConfig{Measure: "status"}
	if err := decode(&c); err != nil {
		return nil, err
	}
	if err := required("address", c.Address); err != nil {
		return nil, err
	}
	host, _, err := TargetAddr(c.Address)
	if err != nil {
		return nil, err
	}
	if err := oneOf("measure", c.Measure, "status", "latency", "cert_days"); err != nil {
		return nil, err
	}
	if c.Measure == "cert_days" && c.TLS == nil {
		return nil, errors.New("measure: cert_days needs a table tls")
	}
	p := &tcpProbe{config: c, restricted: env.Restricted, dial: env.dialer()}
	if p.tls, err = clientTLS(c.TLS, host, env); err != nil {
		return nil, err
	}
	if c.Expect != "" {
		if p.expect, err = newPattern("expect", c.Expect); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// clientTLS returns the configuration for a connection to host, or nil if the
// table tls is not given.
func clientTLS(t *setting.TLS, host string, env Env) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	if err := env.forbidden(map[string]bool{
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

// Probe connects, and sends and expects what it is told to.
func (p *tcpProbe) Probe(ctx context.Context) (Result, error) {
	begin := time.Now()
	watch := startStopwatch()
	r, err := p.converse(ctx, watch)
	r.Phases = watch.phases()
	if err != nil {
		err = fmt.Errorf("%s: %w", p.config.Address, ended(ctx, err))
		return Result{Value: failedValue, Phases: r.Phases}, hide(err, p.config.Send.Reveal())
	}
	if p.config.Measure == "latency" {
		r.Value = time.Since(begin).Seconds()
	}
	return r, nil
}

func (p *tcpProbe) converse(ctx context.Context, watch *stopwatch) (r Result, err error) {
	conn, err := p.dial(watch.resolving(ctx), "tcp", p.config.Address)
	if err != nil {
		return r, err
	}
	watch.lap(phaseConnect)
	defer conn.Close()
	release := bindDeadline(ctx, conn)
	defer release()
	r.Detail = fmt.Sprintf("connected to %v", conn.RemoteAddr())
	if p.tls != nil {
		secure := tls.Client(conn, p.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return r, fmt.Errorf("tls handshake: %w", err)
		}
		watch.lap(phaseTLS)
		days := daysLeft(secure.ConnectionState().PeerCertificates, time.Now())
		r.Detail += fmt.Sprintf(", certificate %.1f days", days)
		if p.config.Measure == "cert_days" {
			r.Value = days
		}
		conn = secure
	}
	return r, p.talk(ctx, conn, watch)
}

// bindDeadline has the end of ctx end reading and writing. The answer undoes it.
func bindDeadline(ctx context.Context, conn net.Conn) (release func()) {
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

// talk sends and waits for what is expected.
func (p *tcpProbe) talk(ctx context.Context, conn net.Conn, watch *stopwatch) error {
	if send := p.config.Send.Reveal(); send != "" {
		if _, err := io.WriteString(conn, send); err != nil {
			return fmt.Errorf("sending: %w", err)
		}
	}
	if p.expect == nil {
		return nil
	}
	reply := make([]byte, 0, 1<<10)
	var end error // of the reply
	for {
		found, err := p.expect.match(ctx, reply)
		switch {
		case err != nil:
			return err
		case found:
			watch.lap(phaseBody)
			return nil
		case end != nil:
			return p.unexpected(reply, end)
		case len(reply) == maxReply:
			return fmt.Errorf("the first %d KiB do not match expect %q", maxReply>>10, printable(p.config.Expect))
		case len(reply) == cap(reply):
			reply = append(make([]byte, 0, min(2*cap(reply), maxReply)), reply...)
		}
		var n int
		n, end = conn.Read(reply[len(reply):cap(reply)])
		if n > 0 && len(reply) == 0 {
			watch.lap(phaseFirstByte)
		}
		reply = reply[:len(reply)+n]
	}
}

// unexpected says what came in place of what was expected, to those who may see
// it.
func (p *tcpProbe) unexpected(reply []byte, err error) error {
	said := firstLine(reply)
	switch {
	case !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("reading: %w", err)
	case p.restricted || said == "":
		said = fmt.Sprintf("%d bytes", len(reply))
	default:
		said = fmt.Sprintf("%.80q", said)
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("received %s and the end, want %q", said, printable(p.config.Expect))
	}
	return &incomplete{err, fmt.Sprintf("received %s, want %q", said, printable(p.config.Expect))}
}

// Close does nothing: each probe has a connection of its own.
func (p *tcpProbe) Close() error { return nil }
