package probe

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// httpConn is a connection of an httpTransport.
type httpConn struct {
	net.Conn
	opened time.Time
	forget func(*httpConn)
	// asked is closed by the first write, or when the connection is.
	asked chan struct{}
	once  sync.Once
	// reading is set while http.Transport waits for more.
	reading atomic.Bool
}

// Read waits until something was asked, so that what a target says unasked is the
// answer, and part of the error, and not dropped by http.Transport.
func (c *httpConn) Read(b []byte) (int, error) {
	<-c.asked
	c.reading.Store(true)
	defer c.reading.Store(false)
	return c.Conn.Read(b)
}

// Write implements io.Writer.
func (c *httpConn) Write(b []byte) (int, error) {
	c.once.Do(func() { close(c.asked) })
	return c.Conn.Write(b)
}

// Close implements io.Closer.
func (c *httpConn) Close() error {
	c.once.Do(func() { close(c.asked) })
	c.forget(c)
	return c.Conn.Close()
}

// reusable reports whether another probe may use the connection: it is young and open,
// and holds no unread bytes, which would belong to no request.
func (c *httpConn) reusable() bool {
	return time.Since(c.opened) < ageLimit && openAndEmpty(c.Conn) && c.reading.Load()
}

// openAndEmpty reports whether a connection is open and nothing waits to be read.
func openAndEmpty(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	empty := false
	_ = rc.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		empty = err == syscall.EAGAIN
	})
	return empty
}
