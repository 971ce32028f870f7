package probe

import (
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// fakeDNS starts a name server on UDP and TCP and returns its address.
func fakeDNS(tb testing.TB, handle dns.HandlerFunc) string {
	tb.Helper()
	l := testkit.Listen(tb)
	pc, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	startDNS(tb, &dns.Server{Listener: l, Handler: handle})
	startDNS(tb, &dns.Server{PacketConn: pc, Handler: handle})
	return l.Addr().String()
}

func startDNS(tb testing.TB, s *dns.Server) {
	tb.Helper()
	started, done := make(chan struct{}), make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	go func() {
		defer close(done)
		_ = s.ActivateAndServe()
	}()
	<-started
	tb.Cleanup(func() {
		_ = s.Shutdown()
		<-done
	})
}

// answerA answers every query with one address.
func answerA(address string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 0},
				A:   net.ParseIP(address),
			})
		}
		_ = w.WriteMsg(m)
	}
}

func dnsProbeOf(tb testing.TB, server string, keys ...string) Probe {
	tb.Helper()
	return build(tb, "dns", "name = \"www.example\"\nserver = "+strconv.Quote(server)+"\n"+strings.Join(keys, "\n"), Env{})
}

// answers answers every query with these records.
func answers(records ...string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		for _, r := range records {
			rr, err := dns.NewRR(r)
			if err != nil {
				m.Rcode = dns.RcodeServerFailure
				break
			}
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	}
}

func TestDNSAnswers(t *testing.T) {
	server := fakeDNS(t, answers("www.example. 0 IN CNAME web.example.", "web.example. 60 IN A 192.0.2.2", "web.example. 60 IN A 192.0.2.1"))
	r := ok(t, dnsProbeOf(t, server))
	if r.Value != 0 || r.Detail != "2 answers: 192.0.2.1, 192.0.2.2" {
		t.Errorf("%+v, want 0 and both addresses", r)
	}
	if r := ok(t, dnsProbeOf(t, server, `measure = "answers"`)); r.Value != 2 {
		t.Errorf("%v answers, want 2", r.Value)
	}
	if r := ok(t, dnsProbeOf(t, server, `measure = "latency"`)); r.Value <= 0 || r.Value > 5 {
		t.Errorf("latency %v", r.Value)
	}
	if r := ok(t, dnsProbeOf(t, server, `record = "cname"`)); r.Detail != "1 answer: web.example." {
		t.Errorf("detail %q", r.Detail)
	}
	ok(t, dnsProbeOf(t, server, `expect = "^192\\.0\\.2\\.2$"`))
	fails(t, dnsProbeOf(t, server, `expect = "^192\\.0\\.2\\.3$"`), "none of 2 answers matches")
	fails(t, dnsProbeOf(t, server, `record = "MX"`), "no answer of this type")
	if r := ok(t, dnsProbeOf(t, server, `record = "MX"`, `measure = "answers"`)); r.Value != 0 {
		t.Errorf("%v answers, want 0", r.Value)
	}
	txt := fakeDNS(t, answers(`www.example. 0 IN TXT "v=spf1 -all"`))
	ok(t, dnsProbeOf(t, txt, `record = "TXT"`, `expect = "v=spf1"`))
}

func TestDNSKeysAreChecked(t *testing.T) {
	refusedWith(t, "dns", map[string]string{
		"":                                    "name: this key is required",
		`name = "a..b"`:                       "name: ",
		"name = \"a\"\nrecord = \"ANY\"":      `record: "ANY" is unknown`,
		"name = \"a\"\nrecord = \"AXFR\"":     `record: "AXFR" is unknown`,
		"name = \"a\"\nserver = \"127.1\"":    "server: ",
		"name = \"a\"\nserver = \"h:99999\"":  "server: ",
		"name = \"a\"\nexpect = \"(\"":        "expect: ",
		"name = \"a\"\nmeasure = \"records\"": `measure: "records" is unknown`,
		"name = \"a\"\nrecords = \"A\"":       "unknown key",
	})
	for _, server := range []string{"127.0.0.1", "::1", "[::1]", "[::1]:53", "ns.example", "ns.example:5353"} {
		build(t, "dns", "name = \"a\"\nserver = "+strconv.Quote(server), Env{})
	}
}

// rawUDP answers each packet with the messages that reply returns.
func rawUDP(tb testing.TB, reply func(q *dns.Msg) []*dns.Msg) string {
	return testkit.ServeUDP(tb, func(packet []byte) (replies [][]byte) {
		q := new(dns.Msg)
		if q.Unpack(packet) != nil {
			return nil
		}
		for _, m := range reply(q) {
			if packed, err := m.Pack(); err == nil {
				replies = append(replies, packed)
			}
		}
		return append(replies, []byte("\x00junk"))
	})
}

// Faults: T39.
func TestDNSProbesSurviveHostileServers(t *testing.T) {
	good := func(q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		rr, _ := dns.NewRR("www.example. 0 IN A 192.0.2.1")
		m.Answer = []dns.RR{rr}
		return m
	}
	change := func(f func(m *dns.Msg)) func(q *dns.Msg) []*dns.Msg {
		return func(q *dns.Msg) []*dns.Msg {
			bad := good(q)
			bad.Answer[0].(*dns.A).A = net.IPv4(6, 6, 6, 6)
			f(bad)
			return []*dns.Msg{bad, good(q)}
		}
	}
	for name, reply := range map[string]func(*dns.Msg) []*dns.Msg{
		"wrong id":       change(func(m *dns.Msg) { m.Id++ }),
		"wrong question": change(func(m *dns.Msg) { m.Question[0].Name = "evil.example." }),
		"wrong type":     change(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }),
		"no question":    change(func(m *dns.Msg) { m.Question = nil }),
		"a question":     change(func(m *dns.Msg) { m.Response = false }),
		"an update":      change(func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r := ok(t, dnsProbeOf(t, rawUDP(t, reply))); r.Detail != "1 answer: 192.0.2.1" {
				t.Errorf("detail %q, want the true answer", r.Detail)
			}
		})
	}
	truncated := func(q *dns.Msg) []*dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Truncated = true
		return []*dns.Msg{m}
	}
	t.Run("nothing but lies", func(t *testing.T) {
		t.Parallel()
		timesOut(t, dnsProbeOf(t, rawUDP(t, func(q *dns.Msg) []*dns.Msg { m := good(q); m.Id++; return []*dns.Msg{m} })))
	})
	t.Run("hang", func(t *testing.T) {
		t.Parallel()
		timesOut(t, dnsProbeOf(t, rawUDP(t, func(*dns.Msg) []*dns.Msg { return nil })))
	})
	t.Run("truncated, no TCP", func(t *testing.T) {
		t.Parallel()
		fails(t, dnsProbeOf(t, rawUDP(t, truncated)), "asking again over TCP")
	})
	for name, code := range map[string]int{"NXDOMAIN": dns.RcodeNameError, "SERVFAIL": dns.RcodeServerFailure, "REFUSED": dns.RcodeRefused} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fails(t, dnsProbeOf(t, fakeDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
				_ = w.WriteMsg(new(dns.Msg).SetRcode(q, code))
			})), "the server answered "+name)
		})
	}
}

// Faults: T39.
func TestLargeDNSAnswersAreBounded(t *testing.T) {
	many := func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if _, overUDP := w.LocalAddr().(*net.UDPAddr); overUDP {
			m.Truncated = true
			_ = w.WriteMsg(m)
			return
		}
		m.Compress = true
		for i := range 3000 {
			m.Answer = append(m.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET},
				A:   net.IPv4(10, 0, byte(i>>8), byte(i)),
			})
		}
		_ = w.WriteMsg(m)
	}
	r := ok(t, dnsProbeOf(t, fakeDNS(t, many), `measure = "answers"`))
	if r.Value != 3000 || len(r.Detail) > maxDetail {
		t.Errorf("%v answers, detail of %d bytes, want 3000 and at most %d", r.Value, len(r.Detail), maxDetail)
	}
	loop := fakeDNS(t, answers("www.example. 0 IN CNAME b.example.", "b.example. 0 IN CNAME www.example."))
	fails(t, dnsProbeOf(t, loop), "no answer of this type")
}

// Faults: T39.
func TestAlternatingDNSAnswersAreReported(t *testing.T) {
	var n atomic.Int32
	server := fakeDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		if n.Add(1)%2 == 0 {
			_ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeNameError))
			return
		}
		answerA("192.0.2.1")(w, q)
	})
	p := dnsProbeOf(t, server)
	for i := range 10 {
		if _, err := run(t, p, 5*time.Second); (err != nil) != (i%2 == 1) {
			t.Errorf("probe %d: error %v", i, err)
		}
	}
}

// Faults: T39.
func FuzzDNSReply(f *testing.F) {
	query := new(dns.Msg).SetQuestion("www.example.", dns.TypeA)
	query.Id = 0x1234
	good := new(dns.Msg).SetReply(query)
	rr, err := dns.NewRR("www.example. 0 IN A 192.0.2.1")
	if err != nil {
		f.Fatal(err)
	}
	good.Answer = []dns.RR{rr}
	packed, err := good.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add(packed[:20])
	f.Add([]byte{})
	f.Add([]byte{0x12, 0x34, 0x81, 0x80, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0xc0, 0x0c})
	f.Add([]byte{0x12, 0x34, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0}) // FORMERR without the question
	f.Fuzz(func(t *testing.T, packet []byte) {
		reply := replyTo(query, packet)
		if reply == nil {
			return
		}
		if len(packet) < 12 || packet[0] != 0x12 || packet[1] != 0x34 || packet[2]&0x80 == 0 {
			t.Fatalf("%x was taken for an answer", packet)
		}
		if len(reply.Question) == 0 && knowsNoEDNS(reply) {
			return
		}
		if q := reply.Question; len(q) != 1 || q[0].Qtype != dns.TypeA || !strings.EqualFold(q[0].Name, "www.example.") {
			t.Fatalf("an answer to %v was taken for one to the question", q)
		}
		for _, rr := range reply.Answer {
			if rr == nil {
				t.Fatal("an answer is nil")
			}
			_ = rr.String()
		}
	})
}
