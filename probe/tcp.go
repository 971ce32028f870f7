package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
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
	// Expect is a regular expression that the reply must match, ExpectNot one that it
	// must not match.
	Expect    string `toml:"expect"`
	ExpectNot string `toml:"expect_not"`
	// Steps are a conversation, in place of the three keys above.
	Steps []stepConfig `toml:"steps"`
	// StartTLS is the protocol by which the connection becomes secure before anything
	// else is said: smtp, imap, pop3, ftp or postgres.
	StartTLS string `toml:"starttls"`
	// TLS enables TLS, even if the table is empty.
	TLS *setting.TLS `toml:"tls"`
	// Measure is status (0 if all is as expected), latency in seconds, or
	// cert_days until the first certificate expires.
	Measure string `toml:"measure"`
}

type tcpProbe struct {
	endpoint
	config     tcpConfig
	restricted bool
	steps      []step
	upgrade    upgrade // nil without starttls
	secrets    []string
}

func newTCP(decode func(any) error, env Env) (Probe, error) {
	c := tcpConfig{Measure: "status"}
	if err := decode(&c); err != nil {
		return nil, err
	}
	p := &tcpProbe{restricted: env.Restricted}
	if c.StartTLS != "" {
		if p.upgrade = upgrades()[c.StartTLS]; p.upgrade == nil {
			return nil, checkOneOf("starttls", c.StartTLS, slices.Sorted(maps.Keys(upgrades()))...)
		}
		if c.TLS == nil {
			c.TLS = new(setting.TLS)
		}
	}
	var err error
	if p.endpoint, err = newEndpoint(c.Address, c.Unix, c.TLS, env); err != nil {
		return nil, err
	}
	if err := checkOneOf("measure", c.Measure, "status", "latency", "cert_days"); err != nil {
		return nil, err
	}
	if c.Measure == "cert_days" && c.TLS == nil {
		return nil, errors.New("measure: cert_days needs a table tls, or starttls")
	}
	p.config = c
	return p, p.plan()
}

// plan turns the keys into steps.
func (p *tcpProbe) plan() error {
	c := p.config
	if len(c.Steps) == 0 {
		first := step{send: c.Send.Reveal()}
		rule, err := newReplyRule(c.Expect, c.ExpectNot)
		if err != nil {
			return err
		}
		p.steps = []step{first, {rule: rule, whole: true}}
		p.secrets = secretLines(c.Send)
		return nil
	}
	if !c.Send.IsZero() || c.Expect != "" || c.ExpectNot != "" {
		return errors.New("steps: give either steps, or send, expect and expect_not")
	}
	for i, sc := range c.Steps {
		s, err := sc.step()
		if err != nil {
			return fmt.Errorf("steps: step %d: %w", i+1, err)
		}
		p.steps = append(p.steps, s)
		p.secrets = append(p.secrets, secretLines(sc.Send)...)
	}
	return nil
}

// Probe connects and converses.
func (p *tcpProbe) Probe(ctx context.Context) (Result, error) {
	begin := time.Now()
	watch := startStopwatch()
	r, err := p.converse(ctx, watch)
	r.Phases = watch.phases()
	if err != nil {
		err = fmt.Errorf("%s: %w", p.name(p.config.Address), withCause(ctx, err))
		return Result{Value: failedValue, Phases: r.Phases, Facts: r.Facts}, redact(err, p.secrets...)
	}
	if p.config.Measure == "latency" {
		r.Value = time.Since(begin).Seconds()
	}
	return r, nil
}

func (p *tcpProbe) converse(ctx context.Context, watch *stopwatch) (r Result, err error) {
	conn, release, err := p.open(ctx, watch)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	defer release()
	r.Detail = fmt.Sprintf("connected to %v", conn.RemoteAddr())
	if secure, ok := conn.(*tls.Conn); ok {
		state := secure.ConnectionState()
		r.Facts.seen(state)
		days := daysLeft(state, time.Now())
		r.Detail += fmt.Sprintf(", certificate %.1f days", days)
		if p.config.Measure == "cert_days" {
			r.Value = days
		}
	}
	talk := &conversation{conn: conn, watch: watch, hidden: p.restricted}
	for i, s := range p.steps {
		if err := talk.take(ctx, s); err != nil {
			if len(p.config.Steps) > 0 {
				err = within(fmt.Sprintf("step %d", i+1), err)
			}
			return r, err
		}
	}
	return r, nil
}

// open connects, and makes the connection secure if it is to be.
func (p *tcpProbe) open(ctx context.Context, watch *stopwatch) (conn net.Conn, release func(), err error) {
	if p.upgrade == nil {
		return p.connect(ctx, watch)
	}
	conn, release, err = p.plain().connect(ctx, watch)
	if err != nil {
		return nil, nil, err
	}
	talk := &conversation{conn: conn, watch: watch, hidden: p.restricted}
	err = p.upgrade(ctx, talk)
	if err == nil && len(talk.unread) > 0 {
		// Whoever sits in between may have put them there (CVE-2011-0411).
		err = fmt.Errorf("%d bytes came unasked before the handshake", len(talk.unread))
	}
	if err != nil {
		release()
		_ = conn.Close()
		return nil, nil, within("starttls", err)
	}
	return p.secure(ctx, conn, release, watch)
}

// Close does nothing: each probe opens its own connection.
func (p *tcpProbe) Close() error { return nil }
