package probe

import (
	"net"
	"testing"

	"github.com/miekg/dns"
)

// fakeDNS answers over UDP and TCP on one port and returns its address.
func fakeDNS(tb testing.TB, handle dns.HandlerFunc) string {
	tb.Helper()
	l := listen(tb)
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

// answerA answers every question with one address.
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
