package probe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/microhq/monitor-srv/setting"
)

// udpConfig holds the keys of the kind udp.
type udpConfig struct {
	// Address is host:port.
	Address string `toml:"address"`
	// Send is the packet. \xHH stands for a byte.
	Send setting.Secret `toml:"send"`
	// Expect is a regular expression that a packet of the answer must match, ExpectNot
	// one that none may match until then.
	Expect    string `toml:"expect"`
	ExpectNot string `toml:"expect_not"`
	// Measure is status (0 if all is as expected) or latency in seconds.
	Measure string `toml:"measure"`
}

type udpProbe struct {
	endpoint
	config udpConfig
	packet []byte
	// secrets are the forms of the packet that must not be shown.
	secrets []string
	rule    replyRule
}

func newUDP(decode func(any) error, env Env) (Probe, error) {
	c := udpConfig{Measure: "status"}
	if err := decode(&c); err != nil {
		return nil, err
	}
	if err := cmp.Or(env.localOnly(), checkOneOf("measure", c.Measure, "status", "latency")); err != nil {
		return nil, err
	}
	e, err := newEndpoint(c.Address, "", nil, env)
	if err != nil {
		return nil, err
	}
	e.network = "udp"
	if c.Send.IsZero() {
		return nil, errors.New("send: this key is required: no server of UDP answers before it was asked")
	}
	p := &udpProbe{endpoint: e, config: c, packet: []byte(withBytes(c.Send.Reveal())), secrets: secretLines(c.Send)}
	p.rule, err = newReplyRule(c.Expect, c.ExpectNot)
	return p, err
}

// Probe sends the packet, again if it seems lost, and waits for the answer.
func (p *udpProbe) Probe(ctx context.Context) (Result, error) {
	begin := time.Now()
	said, err := p.ask(ctx)
	if err != nil {
		err = fmt.Errorf("%s: %w", p.config.Address, withCause(ctx, err))
		return Result{Value: failedValue}, redact(err, p.secrets...)
	}
	r := Result{Detail: fmt.Sprintf("%d bytes", len(said))}
	if line := firstLine(said); line != "" {
		r.Detail += ": " + redactText(line, p.secrets...)
	}
	if p.config.Measure == "latency" {
		r.Value = time.Since(begin).Seconds()
	}
	return r, nil
}

func (p *udpProbe) ask(ctx context.Context) ([]byte, error) {
	conn, err := p.dial(ctx, p.network, p.address)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	defer bindDeadline(ctx, conn)()
	resend := newResend(ctx)
	var last []byte
	for {
		if _, err := conn.Write(p.packet); err != nil {
			return nil, explainUDP("sending", err)
		}
		said, err := p.await(ctx, conn, resend.next(), &last)
		late := errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil
		switch {
		case late && !over(ctx):
			continue
		case late && last != nil:
			return nil, &timeoutDetail{err, fmt.Sprintf("received %.80q, want %q", firstLine(last), printable(p.config.Expect))}
		}
		return said, err
	}
}

// await returns the first packet that is as expected. Others are kept in last, for the
// error.
func (p *udpProbe) await(ctx context.Context, conn net.Conn, wait time.Duration, last *[]byte) ([]byte, error) {
	if err := waitUntil(ctx, conn, wait); err != nil {
		return nil, err
	}
	buf := make([]byte, maxUDP)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, explainUDP("waiting for an answer", err)
		}
		*last = bytes.Clone(buf[:n])
		if err := p.rule.refuse(ctx, *last, false); err != nil {
			return nil, err
		}
		if p.rule.judge(ctx, *last, false) == nil {
			return *last, nil
		}
	}
}

// explainUDP says what a refusal means here.
func explainUDP(doing string, err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s: the host says that nobody listens on this port (ICMP): %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Close does nothing: each probe opens its own socket.
func (p *udpProbe) Close() error { return nil }
