package testkit

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// givenPorts holds the ports that FreePorts has returned in this process.
var givenPorts sync.Map

// FreePorts returns ports of 127.0.0.1 that are free for TCP and UDP. They lie
// below those that Linux assigns to outgoing connections and for port 0, so no
// one else is assigned one of them before it is used.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		if tries > 1000 {
			t.Fatal("no port is free")
		}
		port := 10_000 + rand.IntN(22_000)
		if !isFree(LocalAddress(port)) {
			continue
		}
		if _, given := givenPorts.LoadOrStore(port, true); !given {
			ports = append(ports, port)
		}
	}
	return ports
}

func isFree(address string) bool {
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = tcp.Close() }()
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	_ = udp.Close()
	return true
}

// FreeAddress returns host:port of a free port; see FreePorts.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return LocalAddress(FreePorts(t, 1)[0])
}

// LocalAddress returns host:port of a port on 127.0.0.1.
func LocalAddress(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Listen opens a TCP listener on 127.0.0.1 that is closed when the test ends.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}
