package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// dnsConfig holds the keys of the kind dns.
type dnsConfig struct {
	// Server is the name server, host or host:port; default those of
	// /etc/resolv.conf in turn.
	Server string `toml:"server"`
	// Name is the queried name. It is always taken as fully qualified. An
	// international name is asked for in its ASCII form.
	Name string `toml:"name"`
	// Record is the record type, such as A, AAAA, MX or TXT.
	Record string `toml:"record"`
	// Expect is a regular expression that at least one answer must match.
	Expect string `toml:"expect"`
	// ExpectNot is a regular expression that no answer may match.
	ExpectNot string `toml:"expect_not"`
	// Measure is status (0 if there is an answer and it is as expected), answers
	// (their number) or latency in seconds.
	Measure string `toml:"measure"`
}

const (
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
	expectNot  *pattern
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
	name, err := asciiHost(c.Name)
	if err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if _, ok := dns.IsDomainName(name); !ok {
		return fmt.Errorf("name: %q is not a domain name", printable(c.Name))
	}
	p.name = dns.CanonicalName(name)
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
	if p.expect, err = optionalPattern("expect", c.Expect); err != nil {
		return err
	}
	p.expectNot, err = optionalPattern("expect_not", c.ExpectNot)
	return err
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

// Probe queries the name server, or those of this host in turn until one answers.
func (p *dnsProbe) Probe(ctx context.Context) (Result, error) {
	begin := time.Now()
	var r Result
	var answers []dnsAnswer
	server, reply, err := p.ask(ctx)
	if err == nil {
		answers, err = p.read(reply)
	}
	if err == nil {
		r.Detail = p.detail(answers)
		err = p.judge(ctx, answers)
	}
	if err != nil {
		r.Value = failedValue
		return r, fmt.Errorf("%s %s of %s: %w", printable(p.config.Name), strings.ToUpper(p.config.Record), server, withCause(ctx, err))
	}
	switch p.config.Measure {
	case "answers":
		r.Value = float64(len(answers))
	case "latency":
		r.Value = time.Since(begin).Seconds()
	}
	return r, nil
}

// read returns the answers in a reply, sorted. That the name does not exist is no
// error if answers are counted: block lists say so that an address is not listed.
func (p *dnsProbe) read(reply *dns.Msg) ([]dnsAnswer, error) {
	counted := reply.Rcode == dns.RcodeNameError && p.config.Measure == "answers"
	if reply.Rcode != dns.RcodeSuccess && !counted {
		return nil, refusal(reply, p.restricted)
	}
	var all []dnsAnswer
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype == p.record {
			all = append(all, answerOf(rr))
		}
	}
	slices.SortFunc(all, func(a, b dnsAnswer) int { return strings.Compare(a.text, b.text) })
	return all, nil
}

// judge returns an error for unexpected answers. If answers are counted, none at all
// is left to the thresholds.
func (p *dnsProbe) judge(ctx context.Context, answers []dnsAnswer) error {
	if p.expectNot != nil {
		for _, a := range answers {
			if err := p.expectNot.matchAny(ctx, a.forms()); err == nil {
				return p.forbidden(a)
			} else if !errors.Is(err, errNoMatch) {
				return err
			}
		}
	}
	if p.expect != nil {
		var forms []string
		for _, a := range answers {
			forms = append(forms, a.forms()...)
		}
		err := p.expect.matchAny(ctx, forms)
		if errors.Is(err, errNoMatch) {
			count, list, _ := strings.Cut(p.detail(answers), ": ")
			text := fmt.Sprintf("none of %s matches expect %q", count, printable(p.config.Expect))
			if list != "" {
				text += ": " + list
			}
			return errors.New(text)
		}
		return err
	}
	if len(answers) == 0 && p.config.Measure != "answers" {
		return errors.New("no answer of this type")
	}
	return nil
}

func (p *dnsProbe) forbidden(a dnsAnswer) error {
	if p.restricted {
		return fmt.Errorf("an answer matches expect_not %q", printable(p.config.ExpectNot))
	}
	return fmt.Errorf("the answer %q matches expect_not %q", printable(a.text), printable(p.config.ExpectNot))
}

func (p *dnsProbe) detail(answers []dnsAnswer) string {
	text := fmt.Sprintf("%d answers", len(answers))
	if len(answers) == 1 {
		text = "1 answer"
	}
	if p.restricted || len(answers) == 0 {
		return text
	}
	shown := make([]string, 0, maxShown)
	for _, a := range answers[:min(len(answers), maxShown)] {
		shown = append(shown, printable(a.text))
	}
	text += ": " + strings.Join(shown, ", ")
	if len(answers) > maxShown {
		text += ", ..."
	}
	return text
}

// Close does nothing: each probe opens its own sockets.
func (p *dnsProbe) Close() error { return nil }
