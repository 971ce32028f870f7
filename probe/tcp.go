package probe

import (
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
	// Unix is the path of a socket, in place of the address.
	Unix string `toml:"unix"`
	// Send is sent after connecting, unchanged.
	Send setting.Secret `toml:"send"`
	// Expect is a regular expression that the reply must match.
	Expect string `toml:"expect"`
	// TLS enables TLS, even if the table is empty.
	TLS *setting.TLS `toml:"tls"`
	// Measure is status (0 if all is as expected), latency in seconds, or
	// cert_days until the first certificate expires.
	Measure string `toml:"measure"`
}

// maxReply bounds how much of a reply is matched, in bytes.
const maxReply = 64 << 10

type tcpProbe struct {
	endpoint
	config     tcpConfig
	restricted bool
	expect     *pattern
}

func newTCP(decode func(any) error, env Env) (Probe, error) {
	c := tcpConfig{Measure: "status"}
	if err := decode(&c); err != nil {
		return nil, err
	}
	e, err := newEndpoint(c.Address, c.Unix, c.TLS, env)
	if err != nil {
		return nil, err
	}
	if err := checkOneOf("measure", c.Measure, "status", "latency", "cert_days"); err != nil {
		return nil, err
	}
	if c.Measure == "cert_days" && c.TLS == nil {
		return nil, errors.New("measure: cert_days needs a table tls")
	}
	p := &tcpProbe{endpoint: e, config: c, restricted: env.Restricted}
	if c.Expect != "" {
		if p.expect, err = newPattern("expect", c.Expect); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Probe connects, sends, and matches the reply.
func (p *tcpProbe) Probe(ctx context.Context) (Result, error) {
	begin := time.Now()
	watch := startStopwatch()
	r, err := p.converse(ctx, watch)
	r.Phases = watch.phases()
	if err != nil {
		err = fmt.Errorf("%s: %w", p.name(p.config.Address), withCause(ctx, err))
		return Result{Value: failedValue, Phases: r.Phases}, redact(err, p.config.Send.Reveal())
	}
	if p.config.Measure == "latency" {
		r.Value = time.Since(begin).Seconds()
	}
	return r, nil
}

func (p *tcpProbe) converse(ctx context.Context, watch *stopwatch) (r Result, err error) {
	conn, release, err := p.connect(ctx, watch)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	defer release()
	r.Detail = fmt.Sprintf("connected to %v", conn.RemoteAddr())
	if secure, ok := conn.(*tls.Conn); ok {
		days := daysLeft(secure.ConnectionState().PeerCertificates, time.Now())
		r.Detail += fmt.Sprintf(", certificate %.1f days", days)
		if p.config.Measure == "cert_days" {
			r.Value = days
		}
	}
	return r, p.talk(ctx, conn, watch)
}

// talk sends and waits for a matching reply.
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
	var end error // the error that ended the reply
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

// unexpected returns the error for a reply that does not match. It shows the reply
// unless the probe is restricted.
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
		return fmt.Errorf("received %s before the connection was closed, want %q", said, printable(p.config.Expect))
	}
	return &timeoutDetail{err, fmt.Sprintf("received %s, want %q", said, printable(p.config.Expect))}
}

// Close does nothing: each probe opens its own connection.
func (p *tcpProbe) Close() error { return nil }
