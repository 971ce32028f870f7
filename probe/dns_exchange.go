package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// udpSize is the largest answer requested over UDP. It fits any network without
	// fragmentation.
	udpSize = 1232
	// withEDNS is how many times a question is sent with EDNS: firewalls drop such
	// questions, and old servers refuse them.
	withEDNS = 2
	// maxShare bounds how long a name server of this host is waited for while there
	// is another one to ask.
	maxShare = 5 * time.Second
)

// ask puts the question to the configured name server, or to those of this host in
// turn until one answers. It returns the last one that was asked.
func (p *dnsProbe) ask(ctx context.Context) (server string, reply *dns.Msg, err error) {
	if p.server != "" {
		reply, err = p.exchange(ctx, p.server)
		return p.server, reply, err
	}
	local, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil || len(local.Servers) == 0 {
		return resolvConf, nil, errors.New("no name server found: give the key server")
	}
	servers := make([]string, 0, len(local.Servers))
	for _, host := range local.Servers {
		servers = append(servers, net.JoinHostPort(host, local.Port))
	}
	return p.askInTurn(ctx, servers)
}

func (p *dnsProbe) askInTurn(ctx context.Context, servers []string) (server string, reply *dns.Msg, err error) {
	for i, server := range servers {
		reply, err = p.askOne(ctx, server, len(servers)-1-i)
		if err == nil || ctx.Err() != nil || i == len(servers)-1 {
			return server, reply, err
		}
	}
	return "", nil, err
}

// askOne waits for a server no longer than its share if others are left to be asked.
func (p *dnsProbe) askOne(ctx context.Context, server string, others int) (*dns.Msg, error) {
	if deadline, ok := ctx.Deadline(); ok && others > 0 {
		share := min(time.Until(deadline)/time.Duration(others+1), maxShare)
		limited, cancel := context.WithTimeout(ctx, share)
		defer cancel()
		ctx = limited
	}
	return p.exchange(ctx, server)
}

// exchange asks over UDP, without EDNS if the server knows none, and over TCP if the
// answer was truncated.
func (p *dnsProbe) exchange(ctx context.Context, server string) (*dns.Msg, error) {
	query := new(dns.Msg).SetQuestion(p.name, p.record)
	plain, err := query.Pack()
	if err != nil {
		return nil, fmt.Errorf("encoding the question: %w", err)
	}
	query.SetEdns0(udpSize, false)
	packed, err := query.Pack()
	if err != nil {
		return nil, fmt.Errorf("encoding the question: %w", err)
	}
	reply, err := p.overUDP(ctx, server, udpQuestion{query, packed, plain})
	if err != nil || !reply.Truncated {
		return reply, err
	}
	if reply, err = p.overTCP(ctx, server, packed, query); err == nil && knowsNoEDNS(reply) {
		reply, err = p.overTCP(ctx, server, plain, query)
	}
	return reply, err
}

// knowsNoEDNS reports whether a server refused a question because of EDNS (RFC 6891,
// 7).
func knowsNoEDNS(reply *dns.Msg) bool {
	switch reply.Rcode {
	case dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeBadVers:
		return true
	}
	return false
}

// mayKnowNoEDNS reports also SERVFAIL, the third answer of servers that are older than
// EDNS (RFC 2671, 5.3).
func mayKnowNoEDNS(reply *dns.Msg) bool {
	return knowsNoEDNS(reply) || reply.Rcode == dns.RcodeServerFailure
}

// udpQuestion is a question and its two forms on the wire.
type udpQuestion struct {
	query       *dns.Msg
	edns, plain []byte
}

// overUDP waits for the answer to the question and repeats the question meanwhile,
// because any packet may be lost. It ignores other packets, which anybody can send to
// an open port.
func (p *dnsProbe) overUDP(ctx context.Context, server string, q udpQuestion) (*dns.Msg, error) {
	conn, err := p.dial(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer bindDeadline(ctx, conn)()
	resend := newResend(ctx)
	packet, buf := q.edns, make([]byte, maxUDP)
	var refusal *dns.Msg // the answer to the question with EDNS, which may tell a reason
	for sent := 1; ; sent++ {
		if _, err := conn.Write(packet); err != nil {
			return nil, fmt.Errorf("sending the question: %w", err)
		}
		reply, err := readUDP(ctx, conn, q.query, buf, resend.next())
		switch {
		case err == nil && mayKnowNoEDNS(reply) && &packet[0] != &q.plain[0]:
			packet, refusal = q.plain, reply
			continue
		case err == nil && reply.Rcode == dns.RcodeServerFailure && refusal != nil, refusal != nil && errors.Is(err, os.ErrDeadlineExceeded):
			return refusal, nil
		case err == nil:
			return reply, nil
		case over(ctx) || !errors.Is(err, os.ErrDeadlineExceeded):
			return nil, fmt.Errorf("waiting for the answer: %w", err)
		}
		if sent >= withEDNS {
			packet = q.plain
		}
	}
}

// readUDP waits for the answer to the query, no longer than wait.
func readUDP(ctx context.Context, conn net.Conn, query *dns.Msg, buf []byte, wait time.Duration) (*dns.Msg, error) {
	if err := waitUntil(ctx, conn, wait); err != nil {
		return nil, err
	}
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if reply := replyTo(query, buf[:n]); reply != nil {
			return reply, nil
		}
	}
}

func (p *dnsProbe) overTCP(ctx context.Context, server string, packed []byte, query *dns.Msg) (*dns.Msg, error) {
	conn, err := p.dial(ctx, "tcp", server)
	if err != nil {
		return nil, fmt.Errorf("asking again over TCP: %w", err)
	}
	defer conn.Close()
	defer bindDeadline(ctx, conn)()
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
	if _, err := conn.Write(framed); err != nil {
		return nil, fmt.Errorf("sending the question over TCP: %w", err)
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, fmt.Errorf("waiting for the answer over TCP: %w", err)
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, fmt.Errorf("reading the answer over TCP: %w", err)
	}
	if reply := replyTo(query, buf); reply != nil {
		return reply, nil
	}
	return nil, errors.New("the answer over TCP is not one to the question")
}

// replyTo returns the packet as a message if it is an answer to the query, else nil.
// A refusal of EDNS may come without the question.
func replyTo(query *dns.Msg, packet []byte) *dns.Msg {
	reply := new(dns.Msg)
	err := reply.Unpack(packet)
	if err != nil && !reply.Truncated {
		return nil
	}
	if reply.Id != query.Id || !reply.Response || reply.Opcode != dns.OpcodeQuery {
		return nil
	}
	if len(reply.Question) == 0 && knowsNoEDNS(reply) {
		return reply
	}
	if len(reply.Question) != 1 {
		return nil
	}
	asked, answered := query.Question[0], reply.Question[0]
	if asked.Qtype != answered.Qtype || asked.Qclass != answered.Qclass || !strings.EqualFold(asked.Name, answered.Name) {
		return nil
	}
	return reply
}
