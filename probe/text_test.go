package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// The deadline has a cause, as those of the scheduler have.
func TestTheCauseOfATimeoutIsReported(t *testing.T) {
	silence := testkit.SilentServer(t)
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

// Faults: C04, T42.
func TestValuesAreParsedStrictly(t *testing.T) {
	good := map[string]float64{
		"0": 0, " 1 ": 1, "\ufeff2\r\n": 2, "\t12.5\n": 12.5, "-3": -3, "+4": 4, "1e3": 1000, ".5": .5, "5.": 5,
		"-0": 0, "0e999": 0, "1e-999": 0, "00012": 12, "1.7976931348623157e308": math.MaxFloat64,
	}
	for text, want := range good {
		got, err := ParseValue(text)
		if err != nil || got != want || math.Signbit(got) != math.Signbit(want) {
			t.Errorf("ParseValue(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	bad := []string{
		"", "  ", "\n", "NaN", "nan", "Inf", "+Inf", "-Inf", "infinity", "1e400", "-1e999", "0x1p4", "0x10", "1_000",
		"1,5", "1 2", "1\n2", "one", "1s", "--1", "1e", "e1", "+", ".", "1\x00", "\u0661", strings.Repeat("1", maxNumber+1),
	}
	for _, text := range bad {
		if got, err := ParseValue(text); err == nil {
			t.Errorf("ParseValue(%q) = %v, want an error", text, got)
		}
	}
}

// Faults: G5.
func TestPrintedNaNIsFailure(t *testing.T) {
	for _, said := range []string{"nan", "NaN", "inf", "-Inf", "0x1p4"} {
		p := build(t, "exec", `command = "echo"`+"\nparse = true\nargs = ["+strconv.Quote(said)+"]", Env{})
		fails(t, p, "is not a decimal number")
	}
}

// Faults: T42.
func FuzzParseValue(f *testing.F) {
	for _, s := range []string{"1", " 1 ", "1e400", "NaN", "0x1p4", "1,5", "-0", "", "1_0", "\u00a07", "1e-5000", "Inf"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseValue(text)
		if err != nil {
			if v != 0 {
				t.Fatalf("ParseValue(%q) = %v with an error", text, v)
			}
			return
		}
		if math.IsNaN(v) || math.IsInf(v, 0) || v == 0 && math.Signbit(v) {
			t.Fatalf("ParseValue(%q) = %v, want a finite number and no negative zero", text, v)
		}
		// What is accepted is what the standard library reads, and in decimal.
		trimmed := strings.TrimSpace(text)
		want, err := strconv.ParseFloat(trimmed, 64)
		if err != nil || want != v {
			t.Fatalf("ParseValue(%q) = %v, strconv says %v, %v", text, v, want, err)
		}
		if strings.ContainsAny(trimmed, "xX_pPnNiI") {
			t.Fatalf("ParseValue(%q) accepted what is not decimal", text)
		}
		again, err := ParseValue(strconv.FormatFloat(v, 'g', -1, 64))
		if err != nil || again != v {
			t.Fatalf("ParseValue(%q) = %v, written and read again %v, %v", text, v, again, err)
		}
	})
}
