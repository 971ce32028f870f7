package broker

import (
	"context"
	"net"
	"sync"
	"time"
)

// natsDialer makes connections that can be closed all at once.
type natsDialer struct {
	timeout time.Duration

	mu   sync.Mutex
	life context.Context    // guarded by mu
	end  context.CancelFunc // guarded by mu
}

func newNATSDialer(timeout time.Duration) *natsDialer {
	d := &natsDialer{timeout: timeout}
	d.life, d.end = context.WithCancel(context.Background())
	return d
}

// renew allows new connections after an abort.
func (d *natsDialer) renew() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end()
	d.life, d.end = context.WithCancel(context.Background())
}

// abort closes every connection and ends every attempt to make one.
func (d *natsDialer) abort() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end()
}

// Dial connects, at most for the timeout.
func (d *natsDialer) Dial(network, address string) (net.Conn, error) {
	d.mu.Lock()
	life := d.life
	d.mu.Unlock()
	dialer := net.Dialer{Timeout: d.timeout}
	conn, err := dialer.DialContext(life, network, address)
	if err != nil {
		return nil, err
	}
	c := &natsConn{Conn: conn}
	c.release = context.AfterFunc(life, func() { _ = conn.Close() })
	return c, nil
}

// natsConn is a connection that abort closes.
type natsConn struct {
	net.Conn
	release func() bool
}

func (c *natsConn) Close() error {
	c.release()
	return c.Conn.Close()
}
