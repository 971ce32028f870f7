package probe

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// packets answers each question with the messages that reply returns; n counts the
// questions from 1 on.
func packets(reply func(n int, q *dns.Msg) []*dns.Msg) func(testing.TB) string {
	return func(tb testing.TB) string {
		var n atomic.Int32
		return rawUDP(tb, func(q *dns.Msg) []*dns.Msg { return reply(int(n.Add(1)), q) })
	}
}

// with returns an answer to the question with these records.
func with(q *dns.Msg, records ...string) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

// code returns an answer with a code and no records.
func code(q *dns.Msg, code int) *dns.Msg { return new(dns.Msg).SetRcode(q, code) }

// always answers each question alike.
func always(reply func(q *dns.Msg) *dns.Msg) func(testing.TB) string {
	return packets(func(_ int, q *dns.Msg) []*dns.Msg { return []*dns.Msg{reply(q)} })
}

const goodA = "www.example. 0 IN A 192.0.2.1"

// Faults: C07, C09, C10, C11, C12, C13, P1, T39.
func TestOddDNSAnswers(t *testing.T) {
	key := strings.Repeat("k", 300)
	dkim := `www.example. 0 IN TXT "v=DKIM1; p=` + key[:200] + `" "` + key[200:] + `"`
	for name, c := range map[string]struct {
		server func(testing.TB) string
		keys   string
		// The detail, or the error if the value is -1.
		value float64
		want  string
	}{
		"the first packet is lost": {packets(func(n int, q *dns.Msg) []*dns.Msg {
			if n == 1 {
				return nil
			}
			return []*dns.Msg{with(q, goodA)}
		}), "", 0, "1 answer: 192.0.2.1"},
		"questions with EDNS are dropped": {always(func(q *dns.Msg) *dns.Msg {
			if q.IsEdns0() != nil {
				return code(q, dns.RcodeSuccess).SetReply(&dns.Msg{MsgHdr: dns.MsgHdr{Id: q.Id + 1}})
			}
			return with(q, goodA)
		}), "", 0, "1 answer: 192.0.2.1"},
		"EDNS is a format error":         {refusesEDNS(dns.RcodeFormatError, true), "", 0, "1 answer: 192.0.2.1"},
		"EDNS is an error of the header": {refusesEDNS(dns.RcodeFormatError, false), "", 0, "1 answer: 192.0.2.1"},
		"EDNS is not implemented":        {refusesEDNS(dns.RcodeNotImplemented, true), "", 0, "1 answer: 192.0.2.1"},
		"EDNS has a bad version": {always(func(q *dns.Msg) *dns.Msg {
			if q.IsEdns0() == nil {
				return with(q, goodA)
			}
			m := code(q, dns.RcodeBadVers)
			m.SetEdns0(1232, false)
			return m
		}), "", 0, "1 answer: 192.0.2.1"},
		"EDNS makes the server fail":       {refusesEDNS(dns.RcodeServerFailure, true), "", 0, "1 answer: 192.0.2.1"},
		"every question is a format error": {always(func(q *dns.Msg) *dns.Msg { return code(q, dns.RcodeFormatError) }), "", -1, "the server answered FORMERR"},
		"more than was offered": {always(func(q *dns.Msg) *dns.Msg {
			return with(q, `www.example. 0 IN TXT "`+strings.Repeat("a", 250)+strings.Repeat(`" "`+strings.Repeat("b", 250), 8)+`"`)
		}), `record = "TXT"`, 0, "1 answer: aaaa"},
		"strings of a record": {always(func(q *dns.Msg) *dns.Msg { return with(q, dkim) }), `record = "TXT"
			expect = "^v=DKIM1; p=k{300}$"`, 0, "1 answer: v=DKIM1"},
		"form of zone files": {always(func(q *dns.Msg) *dns.Msg { return with(q, dkim) }), `record = "TXT"
			expect = "^\"v=DKIM1; p=k{200}\" \"k{100}\"$"`, 0, "1 answer: v=DKIM1"},
		"two records are not joined": {always(func(q *dns.Msg) *dns.Msg {
			return with(q, `www.example. 0 IN TXT "one"`, `www.example. 0 IN TXT "two"`)
		}), `record = "TXT"
			expect = "onetwo"`, -1, `none of 2 answers matches expect "onetwo": one, two`},
		"UTF-8 in a text": {always(func(q *dns.Msg) *dns.Msg { return with(q, `www.example. 0 IN TXT "caf\195\169"`) }), `record = "TXT"
			expect = "^café$"`, 0, "1 answer: café"},
		"quotes and backslashes in a text": {always(func(q *dns.Msg) *dns.Msg { return with(q, `www.example. 0 IN TXT "a\"b\\c"`) }), `record = "TXT"
			expect = '^a"b\\c$'`, 0, `1 answer: a"b\c`},
		"a text that clears the screen": {always(func(q *dns.Msg) *dns.Msg { return with(q, `www.example. 0 IN TXT "\027[2Jx"`) }), `record = "TXT"`, 0, "x"},
		"the name is not listed":        {always(func(q *dns.Msg) *dns.Msg { return code(q, dns.RcodeNameError) }), `measure = "answers"`, 0, "0 answers"},
		"the name must exist":           {always(func(q *dns.Msg) *dns.Msg { return code(q, dns.RcodeNameError) }), "", -1, "the server answered NXDOMAIN"},
		"no such name, but expected": {always(func(q *dns.Msg) *dns.Msg { return code(q, dns.RcodeNameError) }), `measure = "answers"
			expect = "x"`, -1, `none of 0 answers matches expect "x"`},
		"the server is broken, and answers are counted": {always(func(q *dns.Msg) *dns.Msg { return code(q, dns.RcodeServerFailure) }), `measure = "answers"`, -1, "SERVFAIL"},
		"a reason of the server": {always(func(q *dns.Msg) *dns.Msg {
			m := code(q, dns.RcodeServerFailure)
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus, ExtraText: "no key\nfor example"})
			return m
		}), "", -1, "the server answered SERVFAIL (DNSSEC Bogus: no key for example)"},
		"a reason, and no answer without EDNS": {packets(func(n int, q *dns.Msg) []*dns.Msg {
			if n > 1 {
				return nil
			}
			m := code(q, dns.RcodeServerFailure)
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus})
			return []*dns.Msg{m}
		}), "", -1, "the server answered SERVFAIL (DNSSEC Bogus)"},
		"an unknown code":            {always(func(q *dns.Msg) *dns.Msg { return code(q, 12) }), "", -1, "the server answered code 12"},
		"an answer that must not be": {always(func(q *dns.Msg) *dns.Msg { return with(q, goodA) }), `expect_not = "^192"`, -1, `the answer "192.0.2.1" matches expect_not "^192"`},
		"none that must not be":      {always(func(q *dns.Msg) *dns.Msg { return with(q, goodA) }), `expect_not = "^10"`, 0, "1 answer: 192.0.2.1"},
		"nothing at all is no proof": {always(func(q *dns.Msg) *dns.Msg { return with(q) }), `expect_not = "^10"`, -1, "no answer of this type"},
		"both expectations": {always(func(q *dns.Msg) *dns.Msg { return with(q, goodA, "www.example. 0 IN A 10.0.0.1") }), `expect = "^192"
			expect_not = "^10"`, -1, `the answer "10.0.0.1"`},
		"an alias to nowhere": {always(func(q *dns.Msg) *dns.Msg { return with(q, "www.example. 0 IN CNAME gone.example.") }), "", -1, "no answer of this type"},
		"a question in capitals": {always(func(q *dns.Msg) *dns.Msg {
			m := with(q, goodA)
			m.Question = []dns.Question{{Name: "WWW.EXAMPLE.", Qtype: dns.TypeA, Qclass: dns.ClassINET}}
			return m
		}), "", 0, "1 answer: 192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := run(t, dnsProbeOf(t, c.server(t), c.keys), 8*time.Second)
			got := r.Detail
			if err != nil {
				got = err.Error()
			}
			if (err != nil) != (c.value == -1) || err == nil && r.Value != c.value || !strings.Contains(got, c.want) {
				t.Errorf("value %v, %q, error %v; want %v and %q", r.Value, r.Detail, err, c.value, c.want)
			}
			if strings.ContainsAny(got, "\n\x1b") {
				t.Errorf("%q holds control characters", got)
			}
		})
	}
}

// refusesEDNS returns a server that answers no more than the second question, which
// must be without EDNS. Its refusal of the first repeats the question or not.
func refusesEDNS(rcode int, question bool) func(testing.TB) string {
	return packets(func(n int, q *dns.Msg) []*dns.Msg {
		refused := code(q, rcode)
		if !question {
			refused.Question = nil
		}
		switch {
		case n == 1 && q.IsEdns0() != nil:
			return []*dns.Msg{refused}
		case n == 2 && q.IsEdns0() == nil:
			return []*dns.Msg{with(q, goodA)}
		}
		return nil
	})
}

// Faults: C07.
func TestInternationalNamesAreAskedForInTheirASCIIForm(t *testing.T) {
	server := fakeDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		_ = w.WriteMsg(with(q, q.Question[0].Name+" 0 IN TXT \""+q.Question[0].Name+"\""))
	})
	for name, want := range map[string]string{
		"münchen.example":        "xn--mnchen-3ya.example.",
		"_dmarc.münchen.example": "_dmarc.xn--mnchen-3ya.example.",
		"MÜNCHEN.example.":       "xn--mnchen-3ya.example.",
	} {
		r := ok(t, build(t, "dns", "name = \""+name+"\"\nrecord = \"TXT\"\nserver = \""+server+"\"", Env{}))
		if r.Detail != "1 answer: "+want {
			t.Errorf("%s: %q, want %q asked for", name, r.Detail, want)
		}
	}
	refusedWith(t, "dns", map[string]string{"name = \"b\u202ea.example\"": "name: host "})
}

// A server of this host that is down must not hide that the next one answers.
func TestServersOfTheHostAreAskedInTurn(t *testing.T) {
	dead, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	p := dnsProbeOf(t, dead.LocalAddr().String()).(*checkedProbe).kind.(*dnsProbe)
	timesOut(t, p)
	good := fakeDNS(t, answerA("192.0.2.1"))
	servers := []string{dead.LocalAddr().String(), good}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	server, reply, err := p.askInTurn(ctx, servers)
	if err != nil || server != good || len(reply.Answer) != 1 {
		t.Errorf("%s, %v, %v: want the answer of %s", server, reply, err, good)
	}
}

// writes counts the writes to a connection.
type writes struct {
	net.Conn

	n atomic.Int32
}

func (w *writes) Write(b []byte) (int, error) {
	w.n.Add(1)
	return w.Conn.Write(b)
}

func TestSilentNameServerIsAskedThreeTimes(t *testing.T) {
	server := rawUDP(t, func(*dns.Msg) []*dns.Msg { return nil })
	for i := range 20 { // the end of the last wait races with that of the probe
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			var conn writes
			dial := func(ctx context.Context, network, address string) (_ net.Conn, err error) {
				conn.Conn, err = new(net.Dialer).DialContext(ctx, network, address)
				return &conn, err
			}
			if _, err := run(t, build(t, "dns", "name = \"www.example\"\nserver = \""+server+"\"", Env{Dial: dial}), 200*time.Millisecond); err == nil {
				t.Error("a silent server gives no error")
			}
			if n := conn.n.Load(); n > 3 {
				t.Errorf("%d questions, want at most 3", n)
			}
		})
	}
}
