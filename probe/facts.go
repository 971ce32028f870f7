package probe

import (
	"crypto/tls"
	"net/http"
	"time"
)

// Facts are what a probe has seen besides its value. What was not seen is zero.
type Facts struct {
	// Status of an HTTP response, the major and minor version of the protocol, and the
	// redirects that were followed.
	Status               int16
	MajorHTTP, MinorHTTP uint8
	Redirects            uint8
	// TLS is the version of the protocol, as package crypto/tls numbers them.
	TLS uint16
	// Length is the Content-Length, or -1 without one; Size is what was read of the body,
	// in bytes. Modified is the header Last-Modified in unix seconds.
	Length, Size, Modified int64
	// FirstEnd is when the first of the certificates expires that the server sent, and
	// ChainEnd when the verified chain does, in unix seconds.
	FirstEnd, ChainEnd int64
}

// factsOf returns the facts of an HTTP response whose body has size bytes.
func factsOf(resp *http.Response, size int64) Facts {
	f := Facts{
		Status: int16(resp.StatusCode), MajorHTTP: uint8(resp.ProtoMajor), MinorHTTP: uint8(resp.ProtoMinor),
		Length: resp.ContentLength, Size: size,
	}
	for r := resp.Request; r != nil && r.Response != nil; r = r.Response.Request {
		f.Redirects++
	}
	if at, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
		f.Modified = at.Unix()
	}
	if resp.TLS != nil {
		f.seen(*resp.TLS)
	}
	return f
}

// seen adds the facts of a TLS connection.
func (f *Facts) seen(state tls.ConnectionState) {
	f.TLS = state.Version
	if len(state.PeerCertificates) > 0 {
		f.FirstEnd = firstEnd(state.PeerCertificates).Unix()
	}
	var chain time.Time
	for _, c := range state.VerifiedChains {
		if end := firstEnd(c); end.After(chain) {
			chain = end
		}
	}
	if !chain.IsZero() {
		f.ChainEnd = chain.Unix()
	}
}
