package action

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"regexp"
	"sync"

	"github.com/microhq/monitor-srv/setting"
)

// maxStatusLine bounds the status line that an answerConn remembers, in bytes.
const maxStatusLine = 256

// success matches a whole status line of HTTP/1 with a code of success.
var success = regexp.MustCompile(`^HTTP/1\.[01] 2\d\d( [^\n]*)?\r?\n$`)

// answerConn is a connection for requests of HTTP/1 that remembers the status line of
// the last answer: net/http does not tell it if it cannot read the rest.
type answerConn struct {
	net.Conn
	mu     sync.Mutex // guards the following field
	status []byte     // up to the end of the line, if that has come
}

// begin forgets the answer to the request before.
func (c *answerConn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = nil
}

// Read implements io.Reader.
func (c *answerConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := maxStatusLine - len(c.status); room > 0 && !bytes.HasSuffix(c.status, []byte("\n")) {
		start := b[:min(n, room)]
		if end := bytes.IndexByte(start, '\n'); end >= 0 {
			start = start[:end+1]
		}
		c.status = append(c.status, start...)
	}
	return n, err
}

// succeeded reports whether the answer began with a status of success.
func (c *answerConn) succeeded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return success.Match(c.status)
}

func dialPlain(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &answerConn{Conn: conn}, nil
}

// dialTLS returns a function that opens connections with TLS. Those of HTTP/2 are not
// answerConns, because http.Transport wants them as they are. It would verify the zone
// of an address as part of its name.
func dialTLS(conf *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		own := conf.Clone()
		own.ServerName = cmp.Or(own.ServerName, setting.WithoutZone(host))
		ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
		defer cancel()
		conn, err := (&tls.Dialer{Config: own}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if conn.(*tls.Conn).ConnectionState().NegotiatedProtocol == "h2" {
			return conn, nil
		}
		return &answerConn{Conn: conn}, nil
	}
}
