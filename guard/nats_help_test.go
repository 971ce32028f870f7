package guard_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/microhq/monitor-srv/guard"
)

// brkNATSServer is a real NATS server on a port of its own that may stop and start.
type brkNATSServer struct {
	t    testing.TB
	opts server.Options
	srv  *server.Server
}

// brkNewNATS gives a server that is not started yet.
func brkNewNATS(t testing.TB, change func(*server.Options)) *brkNATSServer {
	t.Helper()
	n := &brkNATSServer{t: t, opts: server.Options{
		Host: "127.0.0.1", Port: regFreePorts(t, 1)[0], NoLog: true, NoSigs: true,
	}}
	if change != nil {
		change(&n.opts)
	}
	t.Cleanup(n.stop)
	return n
}

func brkStartNATS(t testing.TB, change func(*server.Options)) *brkNATSServer {
	t.Helper()
	n := brkNewNATS(t, change)
	n.start()
	return n
}

func (n *brkNATSServer) start() {
	n.t.Helper()
	opts := n.opts
	srv, err := server.NewServer(&opts)
	if err != nil {
		n.t.Fatal(err)
	}
	n.srv = srv
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		n.t.Fatal("the NATS server is not ready")
	}
}

func (n *brkNATSServer) stop() {
	if n.srv != nil {
		n.srv.Shutdown()
		n.srv.WaitForShutdown()
		n.srv = nil
	}
}

func (n *brkNATSServer) address() string { return "127.0.0.1:" + strconv.Itoa(n.opts.Port) }

// brkNATS starts a guarded broker on the address and asks it to connect.
func brkNATS(t *testing.T, address string, change func(*guard.NATSConfig)) (b *guard.Broker, stop func() time.Duration) {
	t.Helper()
	cfg := guard.NATSConfig{
		BrokerConfig: guard.BrokerConfig{Logger: regQuiet()},
		Addresses:    []string{address},
	}
	if change != nil {
		change(&cfg)
	}
	b, err := guard.NewNATSBroker(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop = regRun(t, b)
	start := time.Now()
	if err := b.Connect(); err != nil || time.Since(start) > 3*time.Second {
		t.Fatalf("Connect: %v after %v", err, time.Since(start))
	}
	return b, stop
}

// brkUp waits until the connection stands.
func brkUp(t testing.TB, b *guard.Broker, limit time.Duration) time.Duration {
	t.Helper()
	return regEventually(t, limit, "connected", func() bool { return b.State().OK })
}
