package testkit

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ServeConns starts a TCP server that runs do for each connection, and returns its
// address.
func ServeConns(t testing.TB, do func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ServeListener(t, l, do)
	return l.Addr().String()
}

// SilentServer starts a TCP server that reads and never answers, and returns its address.
func SilentServer(t testing.TB) string {
	t.Helper()
	return ServeConns(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
}

// ServeListener runs do for each connection of l in its own goroutine. The
// connections are closed at the end of the test.
func ServeListener(t testing.TB, l net.Listener, do func(net.Conn)) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() { defer func() { _ = c.Close() }(); do(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

// ServeUDP starts a UDP server that answers each packet with the packets that reply
// returns, and returns its address.
func ServeUDP(t testing.TB, reply func(packet []byte) [][]byte) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, r := range reply(buf[:n]) {
				_, _ = pc.WriteTo(r, from)
			}
		}
	})
	t.Cleanup(func() { _ = pc.Close(); wg.Wait() })
	return pc.LocalAddr().String()
}

// WriteForever writes b repeatedly until the peer closes the connection.
func WriteForever(c net.Conn, b string, pause time.Duration) {
	for {
		if _, err := io.WriteString(c, b); err != nil {
			return
		}
		<-time.After(pause)
	}
}

// ReadHTTPRequest reads a request and ignores it.
func ReadHTTPRequest(c net.Conn) { _, _ = http.ReadRequest(bufio.NewReader(c)) }

// RefusingAddress returns an address that refuses connections until listen is called.
// It is bound, so that no other process can use it.
func RefusingAddress(t *testing.T) (addr string, listen func() net.Listener) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	taken := false
	t.Cleanup(func() {
		if !taken {
			_ = syscall.Close(fd)
		}
	})
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port), func() net.Listener {
		if err := syscall.Listen(fd, 16); err != nil {
			t.Fatal(err)
		}
		taken = true
		file := os.NewFile(uintptr(fd), "listener")
		defer file.Close()
		l, err := net.FileListener(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
}
