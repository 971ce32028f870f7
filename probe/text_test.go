package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// The deadline has a cause, as those of the scheduler have.
func TestTheCauseOfATimeoutIsReported(t *testing.T) {
	silence := testkit.ServeConns(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	hello := testkit.ServeConns(t, func(c net.Conn) {
		io.WriteString(c, "hello\n")
		io.Copy(io.Discard, c)
	})
	deaf, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { deaf.Close() })
	for name, c := range map[string]struct{ kind, text, also string }{
		"http":     {"http", "url = \"http://" + silence + "/\"", ""},
		"https":    {"http", "url = \"https://" + silence + "/\"", ""},
		"tcp":      {"tcp", "address = \"" + hello + "\"\nexpect = \"x\"", `: received "hello", want "x"`},
		"tls":      {"tcp", "address = \"" + silence + "\"\ntls = {}", ""},
		"grpc":     {"grpc", "address = \"" + silence + "\"", ""},
		"redis":    {"redis", "address = \"" + silence + "\"", ""},
		"mysql":    {"mysql", "dsn = \"u@tcp(" + silence + ")/d\"\nquery = \"SELECT 1\"", ""},
		"postgres": {"postgres", "dsn = \"postgres://u@" + silence + "/d?sslmode=disable\"\nquery = \"SELECT 1\"", ""},
		"dns":      {"dns", "name = \"x.example\"\nserver = \"" + deaf.LocalAddr().String() + "\"", ""},
		"exec":     {"exec", "command = \"sleep\"\nargs = [\"30\"]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			why := errors.New("no answer within 150ms")
			ctx, cancel := context.WithTimeoutCause(context.Background(), 150*time.Millisecond, why)
			defer cancel()
			_, err := build(t, c.kind, c.text, Env{}).Probe(ctx)
			if !errors.Is(err, why) || !strings.Contains(err.Error(), why.Error()+c.also) {
				t.Errorf("error %v, want the cause%s", err, c.also)
			}
		})
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		" a\r\n\tb  c ":          "a b c",
		"a\x00\x1b[31mb\x7f":     "a[31mb",
		"a\xff\xfeb":             "ab",
		"caf\u00e9 \u202e\u200b": "caf\u00e9",
	} {
		if got := printable(text); got != want {
			t.Errorf("printable(%q) = %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{strings.Repeat("\u00e9", 1000), strings.Repeat("\xff", 1<<20) + "x", strings.Repeat("\x00", 300) + "x"} {
		if got := printable(text); len(got) > maxDetail || !utf8.ValidString(got) {
			t.Errorf("printable of %d bytes is %q", len(text), got)
		}
	}
}

func TestHideKeepsTheKindOfError(t *testing.T) {
	err := redact(fmt.Errorf("as %s%%40x: %w", "canary", context.DeadlineExceeded), "canary@x", "", "as")
	if got := err.Error(); got != "as <secret>: context deadline exceeded" {
		t.Errorf("error %q", got)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("the kind of error is lost")
	}
	if redact(nil, "x") != nil {
		t.Error("an error was made of none")
	}
}
