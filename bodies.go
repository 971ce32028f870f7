package main

import "net/http"

// maxForeignBody bounds the answers that libraries read whole, in bytes. Chat
// services answer with a few hundred.
const maxForeignBody = 1 << 20

// boundForeignBodies bounds what anything in the process reads of an answer over
// net/http's default transport. The library for chat services reads answers whole
// and takes no client of ours; a receiver that answers without end would take all
// memory. What we ask ourselves goes over transports of our own.
func boundForeignBodies() {
	http.DefaultTransport = boundedBodies{http.DefaultTransport} //nolint:forbidigo // nothing is asked here; the library does
}

type boundedBodies struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper. Reading beyond the bound fails.
func (b boundedBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	rsp, err := b.RoundTripper.RoundTrip(r)
	if err == nil && rsp.StatusCode != http.StatusSwitchingProtocols {
		rsp.Body = http.MaxBytesReader(nil, rsp.Body, maxForeignBody)
	}
	return rsp, err
}
