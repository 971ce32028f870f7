package testkit

import (
	"net"
	"os"
	"strconv"
	"testing"
	"time"
)

// FreePorts gives ports that are free for TCP and UDP, below those that the
// kernel gives to clients, so that nobody takes them meanwhile.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for p := 10000 + os.Getpid()%10000 + portSeed(); len(ports) < n; p++ {
		if p > 32000 {
			p = 10000
		}
		address := "127.0.0.1:" + strconv.Itoa(p)
		tcp, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		udp, err := net.ListenPacket("udp", address)
		_ = tcp.Close()
		if err != nil {
			continue
		}
		_ = udp.Close()
		ports = append(ports, p)
	}
	return ports
}

// portSeed spreads the ports of the tests of one process.
func portSeed() int { return int(time.Now().UnixNano()/1000) % 10000 }

func Listen(tb testing.TB) net.Listener {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = ln.Close() })
	return ln
}
