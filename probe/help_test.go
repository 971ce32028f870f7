package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"go.uber.org/goleak"

	"github.com/microhq/monitor-srv/internal/testkit"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == daemonWord {
		runDaemon(os.Args[2:])
	}
	if len(os.Args) > 1 && os.Args[1] == serverWord {
		runServer()
	}
	goleak.VerifyTestMain(m)
}

// decodeTOML returns a strict decoder of a table.
func decodeTOML(text string) func(any) error {
	return func(target any) error {
		meta, err := toml.Decode(text, target)
		if err != nil {
			return err
		}
		for _, key := range meta.Undecoded() {
			// The library does not count what goes into a field of type any.
			if key[0] != "expect_json" {
				return fmt.Errorf("%v: unknown key", key)
			}
		}
		return nil
	}
}

// build makes a probe that is closed with the test.
func build(tb testing.TB, kind, text string, env Env) Probe {
	tb.Helper()
	p, err := New(Builtin(), kind, decodeTOML(text), env)
	if err != nil {
		tb.Fatalf("making a probe %s of %s: %v", kind, text, err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Errorf("closing: %v", err)
		}
	})
	return p
}

// refused returns the error of making a probe, which there must be.
func refused(tb testing.TB, kind, text string, env Env) error {
	tb.Helper()
	p, err := New(Builtin(), kind, decodeTOML(text), env)
	if err == nil {
		p.Close()
		tb.Fatalf("a probe %s of %s was made, want an error", kind, text)
	}
	return err
}

// run probes once with a deadline.
func run(tb testing.TB, p Probe, timeout time.Duration) (Result, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return p.Probe(ctx)
}

// ok probes once and fails the test on an error.
func ok(tb testing.TB, p Probe) Result {
	tb.Helper()
	r, err := run(tb, p, 10*time.Second)
	if err != nil {
		tb.Fatalf("probing: %v", err)
	}
	return r
}

// fails probes once and returns the error, which must hold want.
func fails(tb testing.TB, p Probe, want string) (Result, error) {
	tb.Helper()
	r, err := run(tb, p, 10*time.Second)
	if err == nil {
		tb.Fatalf("value %v without an error, want an error with %q", r.Value, want)
	}
	if !strings.Contains(err.Error(), want) {
		tb.Fatalf("error %q, want one with %q", err, want)
	}
	return r, err
}

// timesOut probes with a short deadline and checks that it is obeyed.
func timesOut(tb testing.TB, p Probe) error {
	tb.Helper()
	const timeout = 300 * time.Millisecond
	begin := time.Now()
	_, err := run(tb, p, timeout)
	took := time.Since(begin)
	if err == nil {
		tb.Fatal("no error, want one of the deadline")
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		tb.Fatalf("error %q, want one of the deadline", err)
	}
	if limit := timeout + 200*time.Millisecond + slack; took > limit {
		tb.Fatalf("took %v, want at most %v", took, limit)
	}
	return err
}

// slack is for a machine that is busy with other tests, and for -race.
const slack = 500 * time.Millisecond

// serve handles each connection of a new listener and returns its address. The
// connections are closed with the test.
func serve(tb testing.TB, handle func(net.Conn)) string {
	tb.Helper()
	l := testkit.Listen(tb)
	conns := make(chan net.Conn, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
			go func() {
				handle(c)
				c.Close()
			}()
		}
	}()
	tb.Cleanup(func() {
		l.Close()
		<-done
		close(conns)
		for c := range conns {
			c.Close()
		}
	})
	return l.Addr().String()
}

// rss returns the resident memory of this process in bytes after a collection.
func rss(tb testing.TB) int {
	tb.Helper()
	runtime.GC()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		tb.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		tb.Fatal(err)
	}
	return resident * os.Getpagesize()
}

// quietLog drops what servers say of the villains that talk to them.
func quietLog() *log.Logger { return log.New(io.Discard, "", 0) }
