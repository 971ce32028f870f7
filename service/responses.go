package service

import "net/http"

// maxResponse bounds the responses that libraries read whole, in bytes. Chat services
// answer with a few hundred.
const maxResponse = 1 << 20

// BoundResponses bounds what anything in the process reads of a response over
// net/http's default transport. The library for chat services reads whole responses
// and accepts no other client, so an endless response would use all memory. Our own
// requests use other transports.
func BoundResponses() {
	http.DefaultTransport = boundedTransport{http.DefaultTransport} //nolint:forbidigo // nothing is asked here; the library does
}

type boundedTransport struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper. Reading beyond the bound fails.
func (b boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	rsp, err := b.RoundTripper.RoundTrip(r)
	if err == nil && rsp.StatusCode != http.StatusSwitchingProtocols {
		rsp.Body = http.MaxBytesReader(nil, rsp.Body, maxResponse)
	}
	return rsp, err
}
