package transport_test

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/transport"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// The stock server loses one in 2,000 to 40,000 of these calls, and each costs
// its caller 5 s. MONITOR_LONG makes it 50,000 of them in place of 10,000.
// Faults: Trap2.
func TestNoAnswerIsLost(t *testing.T) {
	testkit.NoLeaks(t)
	calls := 10_000
	switch {
	case testkit.Nightly():
		calls = 50_000
	case testing.Short():
		calls = 2_000
	}
	s, tr := serveGuarded(t, guardtransport.Config{})
	// A fifth on one connection, one after the other, without a client's pauses.
	waits := []func(){testkit.Go(1, func(int) { callSequence(t, s.addr, calls/5) })}
	// The rest by stock clients with eight callers each.
	for _, kind := range []string{"application/json", "application/protobuf"} {
		c := newClient(t, client.ContentType(kind))
		waits = append(waits, testkit.Go(8, func(int) {
			for i := range calls / 5 * 2 / 8 {
				want := kind + strconv.Itoa(i)
				// Long enough that only a lost answer takes longer, also on a
				// busy machine.
				patient := func(o *client.CallOptions) { o.ConnectionTimeout = 25 * time.Second }
				if rsp, err := callProbe(c, s.addr, "Echo", want, patient); err != nil || rsp.GetCursor() != want {
					t.Errorf("call %d: got %q and error %v, want %q", i, rsp.GetCursor(), err, want)
				}
			}
		}))
	}
	for _, wait := range waits {
		wait()
	}
	if got := tr.Counters(); got.Requests != uint64(calls) || got.Unanswered != 0 || got.Expired != 0 {
		t.Errorf("got %+v, want %d requests, all answered", got, calls)
	}
}

// callSequence makes n calls on one connection, each as soon as the answer
// to the one before is read.
func callSequence(t *testing.T, addr string, n int) {
	conn, in := dial(t, addr)
	for i := range n {
		want := fmt.Sprintf(`{"cursor":"%d"}`, i)
		if _, err := io.WriteString(conn, wireCall("Echo", strconv.Itoa(i), want)); err != nil {
			t.Errorf("call %d: %v", i, err)
			return
		}
		got, err := readAnswer(in)
		if err != nil || got.body != want+"\n" || got.header.Get("Micro-Id") != strconv.Itoa(i) {
			t.Errorf("call %d: got %+v and error %v, want %s", i, got, err, want)
			return
		}
	}
}

// The stock server answers the first of them only.
// Faults: Trap2.
func TestPipelinedRequestsAreAllAnswered(t *testing.T) {
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{})
	conn, in := dial(t, s.addr)
	var wire strings.Builder
	for i := range 10 {
		wire.WriteString(wireCall("Echo", strconv.Itoa(i), fmt.Sprintf(`{"cursor":"%d"}`, i)))
	}
	if _, err := io.WriteString(conn, wire.String()); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		got, err := readAnswer(in)
		if want := fmt.Sprintf(`{"cursor":"%d"}`+"\n", i); err != nil || got.body != want || got.header.Get("Micro-Id") != strconv.Itoa(i) {
			t.Fatalf("got %+v and error %v, want answer %d", got, err, i)
		}
	}
}

// The stock server keeps a timer and its context for each request until the
// connection ends: 18 MB here.
// Faults: Trap16.
func TestHeapOfTheTransportStaysFlat(t *testing.T) {
	testkit.SkipIfShort(t)
	testkit.NoLeaks(t)
	s, _ := serveGuarded(t, guardtransport.Config{})
	conn, in := dial(t, s.addr)
	wire := strings.Replace(wireCall("Echo", "1", "{}"), "Micro-Id", "Timeout: 5000000000\r\nMicro-Id", 1)
	ask := func(n int) {
		for range n {
			if _, err := io.WriteString(conn, wire); err != nil {
				t.Fatal(err)
			}
			if got, err := readAnswer(in); err != nil || got.status != 200 {
				t.Fatalf("got %+v and error %v", got, err)
			}
		}
	}
	ask(2_000)
	before := testkit.HeapInUse()
	ask(18_000)
	if grown := testkit.HeapInUse() - before; grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes over 18,000 requests", grown)
	}
}

// Faults: Trap10, S5.
func TestConnectionsBeyondTheCapTakeThePlacesOfIdleOnes(t *testing.T) {
	testkit.NoLeaks(t)
	const limit = 20
	s, tr := serveGuarded(t, guardtransport.Config{MaxConns: limit})
	c := newClient(t)
	for range 2 { // A connection that is used again outlives those that are not.
		if _, err := callProbe(c, s.addr, "Echo", ""); err != nil {
			t.Fatal(err)
		}
	}
	var held []net.Conn
	for range 10 * limit {
		conn, _ := dial(t, s.addr)
		held = append(held, conn)
	}
	taken := uint64(9*limit + 1)
	testkit.Eventually(t, 10*time.Second, "the connections are taken", func() bool { return tr.Counters().TakenConns == taken })
	if _, err := callProbe(c, s.addr, "Echo", ""); err != nil {
		t.Errorf("a client with a connection: %v", err)
	}
	if _, err := callProbe(newClient(t), s.addr, "Echo", ""); err != nil {
		t.Errorf("a client without a connection: %v", err)
	}
	if got := tr.Counters(); got.OpenConns != limit || got.RefusedConns != 0 {
		t.Errorf("got %+v, want %d open and none refused", got, limit)
	}
	if now := tr.Connections(); !now.Full || now.Refusing {
		t.Errorf("got %+v, want it full", now)
	}
	for i, conn := range held[:9*limit+1] {
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF && !isReset(err) {
			t.Fatalf("connection %d: got %v, want it closed", i, err)
		}
	}
}

// Faults: Trap10, S5.
func TestConnectionsAreRefusedOnlyWhileAllAreServed(t *testing.T) {
	testkit.NoLeaks(t)
	const limit = 3
	hold, began := make(chan struct{}), make(chan struct{}, limit)
	addr, tr := accept(t, guardtransport.Config{MaxConns: limit, Log: testkit.QuietLog()}, func(s transport.Socket) {
		began <- struct{}{}
		<-hold
		_ = s.Send(&transport.Message{})
	})
	for range limit {
		conn, _ := dial(t, addr)
		if _, err := io.WriteString(conn, wireCall("Echo", "1", "{}")); err != nil {
			t.Fatal(err)
		}
		<-began
	}
	if err := wantRefused(addr); err != io.EOF && !isReset(err) {
		t.Errorf("got %v from a connection beyond the cap, want it closed", err)
	}
	if got := tr.Connections(); got.Refused != 1 || !got.Refusing || got.Held != limit {
		t.Errorf("got %+v, want it refusing", got)
	}
	close(hold)
	testkit.Eventually(t, 10*time.Second, "a call works again", func() bool {
		conn, in := dial(t, addr)
		defer conn.Close()
		_, _ = io.WriteString(conn, wireCall("Echo", "1", "{}"))
		got, err := readAnswer(in)
		return err == nil && got.status == 200
	})
}

// wantRefused returns how a new connection ends.
func wantRefused(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = conn.Read(make([]byte, 1))
	return err
}

// Thousands of connections that come and go do not disturb a caller that is
// connected.
// Faults: Trap10.
func TestCallsGoOnDuringAFloodOfConnections(t *testing.T) {
	testkit.NoLeaks(t)
	s, tr := serveGuarded(t, guardtransport.Config{MaxConns: 64})
	c := newClient(t)
	if _, err := callProbe(c, s.addr, "Echo", ""); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	wait := testkit.Go(4, func(int) {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if conn, err := net.DialTimeout("tcp", s.addr, time.Second); err == nil {
				_ = conn.Close()
			}
		}
	})
	for i := range testkit.Fewer(500, 100) {
		if rsp, err := callProbe(c, s.addr, "Echo", "x"); err != nil || rsp.GetCursor() != "x" {
			t.Errorf("call %d: got %v and error %v", i, rsp, err)
		}
	}
	close(stop)
	wait()
	testkit.Eventually(t, 10*time.Second, "the flood is gone", func() bool { return tr.Counters().OpenConns <= 1 })
}
