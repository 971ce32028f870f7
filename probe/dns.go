package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// dnsConfig holds the keys of the kind dns.
type dnsConfig struct {
	// Server is the name server, host or host:port; default the first of
	// /etc/resolv.conf.
	Server string `toml:"server"`
	// Name is the queried name. It is always taken as fully qualified.
	Name string `toml:"name"`
	// Record is the record type, such as A, AAAA, MX or TXT.
	Record string `toml:"record"`
	// Expect is a regular expression that at least one answer must match.
	Expect string `toml:"expect"`
	// Measure is status (0 if there is an answer and it is as expected), answers
	// (their number) or latency in seconds.
	Measure string `toml:"measure"`
}

const (
	// udpSize is the largest answer requested over UDP. It fits any network without
	// fragmentation.
	udpSize = 1232
	// maxShown is how many answers the detail shows.
	maxShown = 5
	// resolvConf lists the name servers of this host.
	resolvConf = "/etc/resolv.conf"
)

type dnsProbe struct {
	config     dnsConfig
	restricted bool
	dial       dialFunc
	server     string
	name       string
	record     uint16
	expect     *pattern
}

func newDNS(decode func(any) error, env Env) (Probe, error) {
	c := dnsConfig{Record: "A", Measure: "status"}
	if err := decode(&c); err != nil {
		return nil, err
	}
	p := &dnsProbe{config: c, restricted: env.Restricted, dial: env.dialer()}
	return p, p.check()
}

func (p *dnsProbe) check() (err error) {
	c := p.config
	if err := required("name", c.Name); err != nil {
		return err
	}
	if _, ok := dns.IsDomainName(c.Name); !ok {
		return fmt.Errorf("name: %q is not a domain name", printable(c.Name))
	}
	p.name = dns.CanonicalName(c.Name)
	if p.record, err = recordType(c.Record); err != nil {
		return err
	}
	switch {
	case c.Server != "":
		if p.server, err = withPort(c.Server, "53"); err != nil {
			return fmt.Errorf("server: %w", err)
		}
	case p.restricted:
		return errors.New("server: this key is required for a monitor registered with the role of an operator")
	}
	if err := checkOneOf("measure", c.Measure, "status", "answers", "latency"); err != nil {
		return err
	}
	if c.Expect != "" {
		if p.expect, err = newPattern("expect", c.Expect); err != nil {
			return err
		}
	}
	return nil
}

// recordType returns the number of a record type. It refuses types that cannot be
// queried.
func recordType(name string) (uint16, error) {
	t, ok := dns.StringToType[strings.ToUpper(name)]
	switch t {
	case dns.TypeNone, dns.TypeANY, dns.TypeAXFR, dns.TypeIXFR, dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY:
		ok = false
	}
	if !ok {
		return 0, fmt.Errorf("record: %q is unknown; known are A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV, TXT and others", printable(name))
	}
	return t, nil
}

// Probe queries the name server.
func (p *dnsProbe) Probe(ctx context.Context) (Result, error) {
	begin := time.Now()
	var r Result
	server, err := p.address()
	var answers []string
	if err == nil {
		answers, err = p.answers(ctx, server)
	}
	if err == nil {
		r.Detail = p.detail(answers)
		err = p.judge(ctx, answers)
	}
	if err != nil {
		r.Value = failedValue
		return r, fmt.Errorf("%s %s of %s: %w", p.config.Name, strings.ToUpper(p.config.Record), server, withCause(ctx, err))
	}
	switch p.config.Measure {
	case "answers":
		r.Value = float64(len(answers))
	case "latency":
		r.Value = time.Since(begin).Seconds()
	}
	return r, nil
}

// judge returns an error for unexpected answers. If answers are counted, none at all
// is left to the thresholds.
func (p *dnsProbe) judge(ctx context.Context, answers []string) error {
	if p.expect != nil {
		err := p.expect.matchAny(ctx, answers)
		if errors.Is(err, errNoMatch) {
			return fmt.Errorf("none of %d answers matches expect %q", len(answers), printable(p.config.Expect))
		}
		return err
	}
	if len(answers) == 0 && p.config.Measure != "answers" {
		return errors.New("no answer of this type")
	}
	return nil
}

func (p *dnsProbe) detail(answers []string) string {
	text := fmt.Sprintf("%d answers", len(answers))
	if len(answers) == 1 {
		text = "1 answer"
	}
	if p.restricted || len(answers) == 0 {
		return text
	}
	text += ": " + strings.Join(answers[:min(len(answers), maxShown)], ", ")
	if len(answers) > maxShown {
		text += ", ..."
	}
	return text
}

// address returns the name server.
func (p *dnsProbe) address() (string, error) {
	if p.server != "" {
		return p.server, nil
	}
	local, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil || len(local.Servers) == 0 {
		return resolvConf, errors.New("no name server found: give the key server")
	}
	return net.JoinHostPort(local.Servers[0], local.Port), nil
}

// answers queries the records and returns their data, sorted.
func (p *dnsProbe) answers(ctx context.Context, server string) ([]string, error) {
	query := new(dns.Msg).SetQuestion(p.name, p.record)
	query.SetEdns0(udpSize, false)
	reply, err := p.exchange(ctx, server, query)
	if err != nil {
		return nil, err
	}
	if reply.Rcode != dns.RcodeSuccess {
		return nil, fmt.Errorf("the server answered %s", rcodeName(reply.Rcode))
	}
	var data []string
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype == p.record {
			data = append(data, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
	}
	slices.Sort(data)
	return data, nil
}

func rcodeName(code int) string {
	if name, ok := dns.RcodeToString[code]; ok {
		return name
	}
	return fmt.Sprintf("code %d", code)
}

// exchange queries over UDP, and over TCP if the answer is truncated.
func (p *dnsProbe) exchange(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error) {
	packed, err := query.Pack()
	if err != nil {
		return nil, fmt.Errorf("encoding the question: %w", err)
	}
	reply, err := p.overUDP(ctx, server, packed, query)
	if err != nil || !reply.Truncated {
		return reply, err
	}
	return p.overTCP(ctx, server, packed, query)
}

// overUDP waits for the answer to the query. It ignores other packets, which anybody
// can send to an open port.
func (p *dnsProbe) overUDP(ctx context.Context, server string, packed []byte, query *dns.Msg) (*dns.Msg, error) {
	conn, err := p.dial(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer bindDeadline(ctx, conn)()
	if _, err := conn.Write(packed); err != nil {
		return nil, fmt.Errorf("sending the question: %w", err)
	}
	buf := make([]byte, udpSize)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, fmt.Errorf("waiting for the answer: %w", err)
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
func replyTo(query *dns.Msg, packet []byte) *dns.Msg {
	reply := new(dns.Msg)
	err := reply.Unpack(packet)
	if err != nil && !reply.Truncated {
		return nil
	}
	if reply.Id != query.Id || !reply.Response || reply.Opcode != dns.OpcodeQuery || len(reply.Question) != 1 {
		return nil
	}
	asked, answered := query.Question[0], reply.Question[0]
	if asked.Qtype != answered.Qtype || asked.Qclass != answered.Qclass || !strings.EqualFold(asked.Name, answered.Name) {
		return nil
	}
	return reply
}

// Close does nothing: each probe opens its own sockets.
func (p *dnsProbe) Close() error { return nil }
