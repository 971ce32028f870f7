package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test runs itself in a network namespace whose only address is public. An
// operator's probe must not reach a listener there; an administrator's probe must.
func TestRestrictedProbeIsRefusedByAHostWithAPublicAddress(t *testing.T) {
	const inside = "TEST_IN_A_NETWORK_OF_ITS_OWN"
	if os.Getenv(inside) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if os.Geteuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		}
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.Process == nil || strings.Contains(string(out), "--- SKIP") {
			t.Skipf("SKIPPED, NOT PROVEN: a network namespace is not allowed here: %v\n%s", err, out)
		}
		if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	const public = "93.184.216.34"
	setLoopback(t, public)
	listener, err := net.Listen("tcp", public+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address := listener.Addr().String()
	text := "address = " + strconv.Quote(address)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := build(t, "tcp", text, Env{}).Probe(ctx); err != nil {
		t.Fatalf("nothing listens at %s: %v", address, err)
	}
	fails(t, build(t, "tcp", text, Env{Restricted: true}), "own host")
	ok(t, build(t, "tcp", text, Env{Restricted: true, AllowTargets: []netip.Prefix{netip.MustParsePrefix(public + "/32")}}))
}

// setLoopback gives the loopback an address and turns it on.
func setLoopback(t *testing.T, address string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	ip := netip.MustParseAddr(address).As4()
	if err := request.SetInet4Addr(ip[:]); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, request); errors.Is(err, unix.EPERM) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		t.Fatal(err)
	}
}
