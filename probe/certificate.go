package probe

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// daysLeft returns the days until the first certificate of the verified chain ends.
// Servers send certificates outside it too, such as a root that was replaced. Of
// several chains the one that lasts longest counts, because clients need only one. If
// nothing was verified, all certificates that were sent count.
func daysLeft(state tls.ConnectionState, now time.Time) float64 {
	chains := state.VerifiedChains
	if len(chains) == 0 {
		chains = [][]*x509.Certificate{state.PeerCertificates}
	}
	var last time.Time
	for _, chain := range chains {
		if end := firstEnd(chain); end.After(last) {
			last = end
		}
	}
	return last.Sub(now).Hours() / 24
}

func firstEnd(chain []*x509.Certificate) time.Time {
	var first time.Time
	for _, c := range chain {
		if first.IsZero() || c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	return first
}
