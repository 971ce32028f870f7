//go:build go1.25

package health

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() == "" { // fuzzing starts itself again with them
		os.Args = os.Args[:1] // micro.Service.Init reads them
	}
	code := m.Run()
	if code == 0 {
		if left := leftBehind(5 * time.Second); left > 0 {
			fmt.Fprintf(os.Stderr, "%d goroutines of this package are left\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// leftBehind waits until no goroutine of this package is left, for so long at
// most, and returns how many are.
func leftBehind(patience time.Duration) int {
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if n := countGoroutines(); n == 0 || time.Now().After(deadline) {
			return n
		}
	}
}

// countGoroutines counts those that this package started.
func countGoroutines() int {
	buf := make([]byte, 1<<20)
	all := string(buf[:runtime.Stack(buf, true)])
	return strings.Count(all, "created by github.com/microhq/monitor-srv/health.(*") +
		strings.Count(all, "created by github.com/microhq/monitor-srv/health.start")
}

// wantMessage compares two messages.
func wantMessage(t testing.TB, what string, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// sent is one event as it left.
type sent struct {
	at    time.Duration // since the fake broker was made
	topic string
	msg   proto.Message
}

// fakeBroker keeps what it is given. before, if set, may hang, fail or panic.
type fakeBroker struct {
	made   time.Time
	before func(ctx context.Context, topic string, msg proto.Message) error

	mu   sync.Mutex // guards sent
	sent []sent
}

func newFakeBroker() *fakeBroker { return &fakeBroker{made: time.Now()} }

func (b *fakeBroker) Publish(ctx context.Context, topic string, msg proto.Message) error {
	if b.before != nil {
		if err := b.before(ctx, topic, msg); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = append(b.sent, sent{time.Since(b.made), topic, proto.Clone(msg)})
	return nil
}

func (b *fakeBroker) all() []sent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]sent(nil), b.sent...)
}

// of selects the events of one message type.
func of[M proto.Message](b *fakeBroker) (msgs []M, at []time.Duration) {
	for _, s := range b.all() {
		if m, ok := s.msg.(M); ok {
			msgs, at = append(msgs, m), append(at, s.at)
		}
	}
	return msgs, at
}

func (b *fakeBroker) checks(id string) (msgs []*healthpb.HealthCheck, at []time.Duration) {
	all, times := of[*healthpb.HealthCheck](b)
	for i, m := range all {
		if m.GetId() == id {
			msgs, at = append(msgs, m), append(at, times[i])
		}
	}
	return msgs, at
}

func (b *fakeBroker) statuses() (words []string) {
	all, _ := of[*healthpb.Status](b)
	for _, m := range all {
		words = append(words, m.GetStatus().String())
	}
	return words
}

var testIdentity = Identity{Name: "go.micro.srv.test", Version: "1.2.3", NodeID: "go.micro.srv.test-1"}

// newTestReporter publishes to b.
func newTestReporter(b Publisher, opts ...Option) *Reporter {
	return NewReporter(nil, append([]Option{WithIdentity(testIdentity), WithPublisher(b), WithLogger(quiet)}, opts...)...)
}

func mustStart(t testing.TB, r *Reporter) {
	t.Helper()
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
}

func mustClose(t testing.TB, r *Reporter) {
	t.Helper()
	if err := r.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func fine(context.Context) (map[string]string, error) { return nil, nil }

// awayWhile makes b refuse every event while away says so.
func (b *fakeBroker) awayWhile(away func() bool) {
	b.before = func(context.Context, string, proto.Message) error {
		if away() {
			return errors.New("no servers available")
		}
		return nil
	}
}

// refuse makes b refuse the events of a type that bad selects.
func refuse[M proto.Message](b *fakeBroker, bad func(M) bool) {
	b.before = func(_ context.Context, _ string, msg proto.Message) error {
		if m, ok := msg.(M); ok && bad(m) {
			return errors.New("too large")
		}
		return nil
	}
}

// stuckUntil never returns before free is closed, whatever its context says.
func stuckUntil(free <-chan struct{}) CheckFunc {
	return func(context.Context) (map[string]string, error) {
		<-free
		return nil, nil
	}
}

// goroutines counts those of this package that are under way, once the bubble is
// at rest. It takes the least of some counts: a goroutine that has ended for the
// bubble may still be seen for a moment.
func goroutines() int {
	synctest.Wait()
	least := math.MaxInt
	for range 10 {
		runtime.Gosched()
		least = min(least, countGoroutines())
	}
	return least
}

// numbered calls f with the number of each call of the broker, from 1.
func numbered(f func(n int32) error) func(context.Context, string, proto.Message) error {
	var n atomic.Int32
	return func(context.Context, string, proto.Message) error { return f(n.Add(1)) }
}

// runCounter counts the runs of a check that succeeds.
type runCounter struct{ atomic.Int32 }

func (c *runCounter) run(context.Context) (map[string]string, error) {
	c.Add(1)
	return nil, nil
}
