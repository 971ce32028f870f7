package probe

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const (
	maxPings = 20
	// pingInterval is the time between two requests; pingWait is how long to wait for
	// the answer to the last one.
	pingInterval = 200 * time.Millisecond
	pingWait     = 2 * time.Second
	// tokenSize is the size of the data that an answer must repeat.
	tokenSize = 16
)

// pingConfig holds the keys of the kind ping.
type pingConfig struct {
	// Host is a name or an address.
	Host string `toml:"host"`
	// Count is the number of echo requests, 1 to 20.
	Count int `toml:"count"`
	// IP restricts the probe to one version of IP: "4" or "6".
	IP string `toml:"ip"`
	// Measure is loss (the ratio of unanswered requests, 0 to 1) or latency (the mean
	// of the answers, in seconds).
	Measure string `toml:"measure"`
}

type pingProbe struct {
	config pingConfig
	env    Env
}

func newPing(decode func(any) error, env Env) (Probe, error) {
	c := pingConfig{Count: 3, Measure: "loss"}
	if err := decode(&c); err != nil {
		return nil, err
	}
	if err := required("host", c.Host); err != nil {
		return nil, err
	}
	var err error
	if c.Host, err = hostOf(c.Host); err != nil {
		return nil, err
	}
	if c.Count < 1 || c.Count > maxPings {
		return nil, fmt.Errorf("count: %d is out of range: give 1 to %d", c.Count, maxPings)
	}
	if err = cmp.Or(checkOneOf("ip", c.IP, "", "4", "6"), checkOneOf("measure", c.Measure, "loss", "latency")); err != nil {
		return nil, err
	}
	return &pingProbe{config: c, env: env}, nil
}

// Probe sends the echo requests and waits for the answers.
func (p *pingProbe) Probe(ctx context.Context) (Result, error) {
	r, err := p.ping(ctx)
	if err != nil {
		return Result{Value: failedValue}, fmt.Errorf("ping %s: %w", p.config.Host, err)
	}
	return r, nil
}

func (p *pingProbe) ping(ctx context.Context) (Result, error) {
	addr, err := p.resolve(ctx)
	if err != nil {
		return Result{}, withCause(ctx, err)
	}
	conn, err := openEcho(addr)
	if err != nil {
		return Result{}, err
	}
	defer conn.Close()
	times, err := conn.echoes(ctx, p.config.Count)
	if err != nil {
		return Result{}, withCause(ctx, err)
	}
	return p.result(addr, times)
}

// result turns the times of the answers into a result.
func (p *pingProbe) result(addr netip.Addr, times []time.Duration) (Result, error) {
	if len(times) == 0 {
		return Result{}, fmt.Errorf("no answer from %v to %d requests", addr, p.config.Count)
	}
	var sum time.Duration
	for _, t := range times {
		sum += t
	}
	mean := sum / time.Duration(len(times))
	r := Result{
		Value:  float64(p.config.Count-len(times)) / float64(p.config.Count),
		Detail: fmt.Sprintf("%d of %d answers from %v, mean %v", len(times), p.config.Count, addr, mean.Round(time.Microsecond)),
	}
	if p.config.Measure == "latency" {
		r.Value = mean.Seconds()
	}
	return r, nil
}

// resolve returns the first address of the host. It refuses addresses that the probe
// may not reach.
func (p *pingProbe) resolve(ctx context.Context) (netip.Addr, error) {
	addr, err := netip.ParseAddr(p.config.Host)
	if err != nil {
		list, err := net.DefaultResolver.LookupNetIP(ctx, "ip"+p.config.IP, p.config.Host)
		if err != nil {
			return netip.Addr{}, err
		}
		addr = list[0]
	}
	addr = addr.Unmap()
	if p.config.IP == "4" && !addr.Is4() || p.config.IP == "6" && !addr.Is6() {
		return netip.Addr{}, fmt.Errorf("%v is not an IPv%s address", addr, p.config.IP)
	}
	return addr, p.env.checkTarget(addr)
}

// echo is a socket for echo requests to one address.
type echo struct {
	*icmp.PacketConn
	to       net.Addr
	request  icmp.Type
	answer   icmp.Type
	protocol int
	id       int
	token    []byte
}

// openEcho opens a datagram socket, which needs no privilege if the sysctl
// net.ipv4.ping_group_range allows our group, or else a raw socket.
func openEcho(addr netip.Addr) (*echo, error) {
	e := &echo{request: ipv4.ICMPTypeEcho, answer: ipv4.ICMPTypeEchoReply, protocol: 1, token: make([]byte, tokenSize)}
	datagram, raw, local := "udp4", "ip4:icmp", "0.0.0.0"
	if addr.Is6() {
		e.request, e.answer, e.protocol = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply, 58
		datagram, raw, local = "udp6", "ip6:ipv6-icmp", "::"
	}
	_, _ = rand.Read(e.token) // never fails
	e.id = int(e.token[0])<<8 | int(e.token[1])
	conn, err := icmp.ListenPacket(datagram, local)
	if err == nil {
		e.PacketConn, e.to = conn, &net.UDPAddr{IP: addr.AsSlice(), Zone: addr.Zone()}
		return e, nil
	}
	conn, rawErr := icmp.ListenPacket(raw, local)
	if rawErr == nil {
		e.PacketConn, e.to = conn, &net.IPAddr{IP: addr.AsSlice(), Zone: addr.Zone()}
		return e, nil
	}
	if errors.Is(rawErr, os.ErrPermission) {
		return nil, errors.New("not permitted: set the sysctl net.ipv4.ping_group_range to include the service's group, or give the service the capability CAP_NET_RAW")
	}
	return nil, fmt.Errorf("opening a socket: %w", rawErr)
}

// echoes sends count requests and returns the times of the answers.
func (e *echo) echoes(ctx context.Context, count int) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(count-1)*pingInterval+pingWait)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = e.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	sent := make([]time.Time, count)
	times := make([]time.Duration, 0, count)
	answered := make([]bool, count)
	for next := 0; len(times) < count && ctx.Err() == nil; {
		if next < count && (next == 0 || time.Since(sent[next-1]) >= pingInterval) {
			sent[next] = time.Now()
			if err := e.send(next); err != nil {
				return times, err
			}
			next++
		}
		if next < count && ctx.Err() == nil {
			_ = e.SetReadDeadline(sent[next-1].Add(pingInterval))
		} else if deadline, ok := ctx.Deadline(); ok {
			_ = e.SetReadDeadline(deadline)
		}
		seq, err := e.receive()
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return times, fmt.Errorf("waiting for answers: %w", err)
		}
		if err == nil && seq < next && !answered[seq] {
			answered[seq] = true
			times = append(times, time.Since(sent[seq]))
		}
	}
	return times, nil
}

func (e *echo) send(seq int) error {
	m := icmp.Message{Type: e.request, Body: &icmp.Echo{ID: e.id, Seq: seq, Data: e.token}}
	packet, err := m.Marshal(nil)
	if err != nil {
		return fmt.Errorf("encoding a request: %w", err)
	}
	if _, err := e.WriteTo(packet, e.to); err != nil {
		return fmt.Errorf("sending a request: %w", err)
	}
	return nil
}

// receive returns the sequence number of the next answer. A raw socket also receives
// the answers to other processes, which do not repeat our token.
func (e *echo) receive() (seq int, err error) {
	buf := make([]byte, 1500)
	for {
		n, _, err := e.ReadFrom(buf)
		if err != nil {
			return 0, err
		}
		if seq, ok := e.read(buf[:n]); ok {
			return seq, nil
		}
	}
}

// read returns the sequence number in a packet if it is an answer to a request.
func (e *echo) read(packet []byte) (seq int, ok bool) {
	m, err := icmp.ParseMessage(e.protocol, packet)
	if err != nil || m.Type != e.answer {
		return 0, false
	}
	body, ok := m.Body.(*icmp.Echo)
	if !ok || !bytes.Equal(body.Data, e.token) {
		return 0, false
	}
	return body.Seq, true
}

// Close does nothing: each probe opens its own socket.
func (p *pingProbe) Close() error { return nil }
