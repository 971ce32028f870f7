package broker_test

import (
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go-micro.dev/v4/broker"

	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/natstest"
)

func TestEventsPublishedWhileNATSIsAwayFailAndAreNotReplayed(t *testing.T) {
	n, b, _ := connectNATS(t, func(cfg *guardbroker.NATSConfig) { cfg.ReconnectWait = 20 * time.Millisecond })
	got := make(chan string, 100)
	subscribe(t, b, "t", func(e broker.Event) error { got <- string(e.Message().Body); return nil })
	awaitSubscribed(t, b)
	n.Stop()
	testkit.Eventually(t, 5*time.Second, "the state tells", func() bool { return !b.State().OK })
	for i := range 10 {
		if err := b.Publish("t", message(strconv.Itoa(i))); err == nil || !strings.Contains(err.Error(), "not connected") {
			t.Errorf("published to nobody: %v", err)
		}
	}
	n.Start()
	awaitConnected(t, b, 6*time.Second)
	if err := b.Publish("t", message("new")); err != nil {
		t.Fatal(err)
	}
	if body := <-got; body != "new" {
		t.Errorf("got %q, want the new event only", body)
	}
}

// A server that has frozen takes bytes, and confirms nothing.
func TestPublishFailsIfNATSDoesNotConfirm(t *testing.T) {
	testkit.NoLeaks(t)
	n := natstest.Start(t, nil)
	silent := make(chan struct{})
	proxy := silenceableProxy(t, n.Address(), silent)
	b, _ := startNATS(t, proxy, func(cfg *guardbroker.NATSConfig) { cfg.Timeout = 500 * time.Millisecond })
	awaitConnected(t, b, 5*time.Second)
	if err := b.Publish("t", message("x")); err != nil {
		t.Fatal(err)
	}
	close(silent)
	if err := b.Publish("t", message("x")); err == nil {
		t.Error("a server that does not answer has the event")
	}
}

// silenceableProxy forwards connections to a server, whose bytes are thrown away once
// silent is closed.
func silenceableProxy(t *testing.T, to string, silent <-chan struct{}) (address string) {
	t.Helper()
	return testkit.ServeConns(t, func(client net.Conn) {
		server, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		wait := testkit.Go(1, func(int) {
			_, _ = io.Copy(struct{ io.Writer }{server}, client) // between sockets it would keep a pipe
			_ = server.Close()
		})
		defer wait()
		defer func() { _ = client.Close() }()
		buffer := make([]byte, 4096)
		for {
			n, err := server.Read(buffer)
			if err != nil {
				return
			}
			select {
			case <-silent:
			default:
				_, _ = client.Write(buffer[:n])
			}
		}
	})
}

func TestPublishThatNATSDeniesFailsAndCountsAsALoss(t *testing.T) {
	testkit.NoLeaks(t)
	n := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"free"}},
		}}}
	})
	b, _ := startNATS(t, "u:p@"+n.Address(), nil)
	awaitConnected(t, b, 5*time.Second)
	for range 2 {
		if err := b.Publish("secret", message("x")); err == nil || !strings.Contains(err.Error(), `publishing to "secret": nats: permissions violation`) {
			t.Errorf("a denied event: %v", err)
		}
	}
	if err := b.Publish("free", message("x")); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, 5*time.Second, "both are counted", func() bool { return b.Stats().Dropped == 2 })
}

// Faults: T6.
func TestConnectToManySilentServersIsBounded(t *testing.T) {
	testkit.NoLeaks(t)
	var silent []string
	accepted := make(chan struct{}, 100)
	for range 5 {
		silent = append(silent, silentServer(t, accepted))
	}
	b, stop := startNATS(t, strings.Join(silent, ","), nil)
	<-accepted // the first attempt
	if s := b.State(); s.OK || !strings.HasPrefix(s.Reason, "broker nats at nats://"+silent[0]+",") {
		t.Errorf("state %+v", s)
	}
	if took := stop(); took > 2500*time.Millisecond {
		t.Errorf("stop took %v", took)
	}
	n := natstest.Start(t, nil)
	// A server among them is found all the same.
	b, _ = startNATS(t, strings.Join(append(silent[:2], n.Address()), ","), nil)
	awaitConnected(t, b, 15*time.Second)
}

func TestStopHandsOutWhatNATSHasDelivered(t *testing.T) {
	// A quarter of this is what the handlers have, also on a busy machine.
	n, b, stop := connectNATS(t, func(cfg *guardbroker.NATSConfig) { cfg.Timeout = 20 * time.Second })
	entered, release, done := make(chan struct{}, 100), make(chan struct{}), make(chan struct{}, 100)
	if _, err := b.Subscribe("t", func(broker.Event) error { entered <- struct{}{}; <-release; done <- struct{}{}; return nil }); err != nil {
		t.Fatal(err)
	}
	awaitSubscribed(t, b)
	raw := connectRaw(t, n)
	for range 50 {
		if err := raw.Publish("t", []byte(`{"Body":"eA=="}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := raw.Flush(); err != nil {
		t.Fatal(err)
	}
	<-entered
	time.AfterFunc(300*time.Millisecond, func() { close(release) })
	if err := b.Disconnect(); err != nil {
		t.Error(err)
	}
	stop()
	if len(done) != 50 {
		t.Errorf("%d of 50 events were handled", len(done))
	}
}

func TestStuckHandlerDelaysNoStopOfNATS(t *testing.T) {
	_, b, stop := connectNATS(t, nil)
	entered, release := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(release) })
	subscribe(t, b, "t", func(broker.Event) error { close(entered); <-release; return nil })
	awaitSubscribed(t, b)
	if err := b.Publish("t", message("x")); err != nil {
		t.Fatal(err)
	}
	<-entered
	stopsWithin(t, 2500*time.Millisecond, b, stop)
}

func TestRefusedConnectionsToNATSAreClosed(t *testing.T) {
	testkit.NoLeaks(t)
	n := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "user", "other" })
	before := testkit.OpenFiles(t)
	b, _ := startNATS(t, "user:wrong@"+n.Address(), func(cfg *guardbroker.NATSConfig) { cfg.ReconnectWait = time.Millisecond })
	<-time.After(500 * time.Millisecond) // hundreds of attempts
	// The server's ends are closed a moment later.
	testkit.Eventually(t, 10*time.Second, "few descriptors are open", func() bool { return testkit.OpenFiles(t) <= before+10 })
	if s := b.State(); !strings.Contains(s.Reason, "Authorization Violation") {
		t.Errorf("state %+v", s)
	}
}
