package probe

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// dnsAnswer is the data of one record.
type dnsAnswer struct {
	// text is what people read: the strings of a TXT record joined, else the
	// record's usual form.
	text string
	// zone is the form of zone files, with quotes and escapes.
	zone string
}

// forms are the texts that an expectation may match: one that was written for the
// form of zone files goes on matching it.
func (a dnsAnswer) forms() []string {
	if a.text == a.zone {
		return []string{a.text}
	}
	return []string{a.text, a.zone}
}

func answerOf(rr dns.RR) dnsAnswer {
	zone := strings.TrimPrefix(rr.String(), rr.Header().String())
	a := dnsAnswer{text: zone, zone: zone}
	switch rr := rr.(type) {
	case *dns.TXT:
		a.text = joined(rr.Txt)
	case *dns.SPF:
		a.text = joined(rr.Txt)
	}
	return a
}

// joined returns the strings of one TXT record without anything between them, as
// RFC 7208, 3.3, and RFC 6376, 3.6.2.2, read them, and without the escapes of zone
// files.
func joined(parts []string) string {
	var b strings.Builder
	for _, part := range parts {
		for i := 0; i < len(part); i++ {
			if part[i] != '\\' || i+1 == len(part) {
				b.WriteByte(part[i])
				continue
			}
			if n, ok := decimalByte(part[i+1:]); ok {
				b.WriteByte(n)
				i += 3
				continue
			}
			i++
			b.WriteByte(part[i])
		}
	}
	return b.String()
}

// decimalByte reads the three digits of an escaped byte.
func decimalByte(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s[:3]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return byte(n), n <= 255
}

// refusal says how the server refused, with its reasons (RFC 8914) if it gives some.
func refusal(reply *dns.Msg, restricted bool) error {
	text := "the server answered " + rcodeName(reply.Rcode)
	opt := reply.IsEdns0()
	if opt == nil || restricted {
		return fmt.Errorf("%s", text)
	}
	for _, o := range opt.Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok {
			reason := dns.ExtendedErrorCodeToString[e.InfoCode]
			if e.ExtraText != "" {
				reason = strings.TrimPrefix(reason+": "+e.ExtraText, ": ")
			}
			if reason != "" {
				return fmt.Errorf("%s (%s)", text, printable(reason))
			}
		}
	}
	return fmt.Errorf("%s", text)
}

func rcodeName(code int) string {
	if name, ok := dns.RcodeToString[code]; ok {
		return name
	}
	return fmt.Sprintf("code %d", code)
}
