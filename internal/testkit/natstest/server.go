// Package natstest starts real NATS servers for tests.
package natstest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// Server is a NATS server on 127.0.0.1 that may be stopped and started again. It is
// stopped when the test ends.
type Server struct {
	// Options are those of the next Start.
	Options server.Options

	t   testing.TB
	srv *server.Server
}

// New returns a server that is not started yet. change may adapt its options; it
// may be nil.
func New(t testing.TB, change func(*server.Options)) *Server {
	t.Helper()
	n := &Server{t: t, Options: server.Options{
		Host: "127.0.0.1", Port: testkit.FreePorts(t, 1)[0], NoLog: true, NoSigs: true,
	}}
	if change != nil {
		change(&n.Options)
	}
	t.Cleanup(n.Stop)
	return n
}

// Start returns a running server; see New.
func Start(t testing.TB, change func(*server.Options)) *Server {
	t.Helper()
	n := New(t, change)
	n.Start()
	return n
}

// Start starts the server and waits until it accepts connections.
func (n *Server) Start() {
	n.t.Helper()
	opts := n.Options
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

// Stop stops the server. It may be started again on the same port.
func (n *Server) Stop() {
	if n.srv != nil {
		n.srv.Shutdown()
		n.srv.WaitForShutdown()
		n.srv = nil
	}
}

// Address returns host:port of the server.
func (n *Server) Address() string { return testkit.LocalAddress(n.Options.Port) }

// URL returns the nats:// URL of the server.
func (n *Server) URL() string { return "nats://" + n.Address() }
