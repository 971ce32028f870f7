package natstest

import (
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// NATSServer is a real NATS server on a port of its own that may stop and start.
type NATSServer struct {
	t    testing.TB
	Opts server.Options
	srv  *server.Server
}

// NewNATS gives a server that is not started yet.
func NewNATS(t testing.TB, change func(*server.Options)) *NATSServer {
	t.Helper()
	n := &NATSServer{t: t, Opts: server.Options{
		Host: "127.0.0.1", Port: testkit.FreePorts(t, 1)[0], NoLog: true, NoSigs: true,
	}}
	if change != nil {
		change(&n.Opts)
	}
	t.Cleanup(n.Stop)
	return n
}

func StartNATS(t testing.TB, change func(*server.Options)) *NATSServer {
	t.Helper()
	n := NewNATS(t, change)
	n.Start()
	return n
}

func (n *NATSServer) Start() {
	n.t.Helper()
	opts := n.Opts
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

func (n *NATSServer) Stop() {
	if n.srv != nil {
		n.srv.Shutdown()
		n.srv.WaitForShutdown()
		n.srv = nil
	}
}

func (n *NATSServer) Address() string { return "127.0.0.1:" + strconv.Itoa(n.Opts.Port) }
