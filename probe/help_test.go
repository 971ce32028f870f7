package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os"
	"runtime"
	"strconv"
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
	goleak.VerifyTestMain(guardedTests{m})
}

// decodeTOML returns the decode function of a TOML text. Unknown keys are errors.
func decodeTOML(text string) func(any) error {
	return func(target any) error {
		meta, err := toml.Decode(text, target)
		if err != nil {
			return err
		}
		for _, key := range meta.Undecoded() {
			// The library does not report keys of a field of type any as decoded.
			if key[0] != "expect_json" {
				return fmt.Errorf("%v: unknown key", key)
			}
		}
		return nil
	}
}

// build makes a probe that is closed at the end of the test.
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

// operatorOnLoopback is the environment of a probe that an operator registered, who may
// reach the loopback.
func operatorOnLoopback() Env {
	return Env{Restricted: true, AllowTargets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

// refused makes a probe, which must fail, and returns the error.
func refused(tb testing.TB, kind, text string, env Env) error {
	tb.Helper()
	p, err := New(Builtin(), kind, decodeTOML(text), env)
	if err == nil {
		p.Close()
		tb.Fatalf("a probe %s of %s was made, want an error", kind, text)
	}
	return err
}

// refusedWith makes a probe of each text, which must fail with an error that contains
// what the text maps to.
func refusedWith(tb testing.TB, kind string, wants map[string]string) {
	tb.Helper()
	for text, want := range wants {
		if err := refused(tb, kind, text, Env{}); !strings.Contains(err.Error(), want) {
			tb.Errorf("%q: error %q, want %q", text, err, want)
		}
	}
}

// run probes once with a timeout.
func run(tb testing.TB, p Probe, timeout time.Duration) (Result, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return p.Probe(ctx)
}

// ok probes once and ends the test on an error.
func ok(tb testing.TB, p Probe) Result {
	tb.Helper()
	r, err := run(tb, p, 10*time.Second)
	if err != nil {
		tb.Fatalf("probing: %v", err)
	}
	return r
}

// fails probes once, which must fail with an error that contains want.
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

// timesOut probes with a short timeout and checks that the probe respects it.
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

// slack is the extra time for busy machines and for -race.
const slack = 500 * time.Millisecond

// rss returns the resident memory of this process after a garbage collection, in
// bytes.
func rss(tb testing.TB) int {
	tb.Helper()
	runtime.GC()
	data := testkit.ReadFile(tb, "/proc/self/statm")
	var size, resident int
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		tb.Fatal(err)
	}
	return resident * os.Getpagesize()
}

// quietLog discards what servers log about malformed requests.
func quietLog() *log.Logger { return log.New(io.Discard, "", 0) }

// probeAt builds a probe of a kind with the key address and other keys.
func probeAt(tb testing.TB, kind, address string, keys []string) Probe {
	tb.Helper()
	return build(tb, kind, "address = "+strconv.Quote(address)+"\n"+strings.Join(keys, "\n"), Env{})
}
