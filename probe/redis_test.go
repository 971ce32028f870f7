package probe

import (
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

func redisProbeOf(tb testing.TB, address string, keys ...string) Probe {
	return probeAt(tb, "redis", address, keys)
}

// redisServer starts a Redis server with a password and returns its address.
func redisServer(tb testing.TB) string {
	tb.Helper()
	program := needProgram(tb, "redis-server")
	_, port, err := net.SplitHostPort(testkit.FreeAddress(tb))
	if err != nil {
		tb.Fatal(err)
	}
	startServer(tb, exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", tb.TempDir(), "--requirepass", "canary-password"))
	address := "127.0.0.1:" + port
	ready := redisProbeOf(tb, address, `password = "canary-password"`)
	testkit.Eventually(tb, 30*time.Second, "redis-server answers", func() bool {
		_, err := run(tb, ready, time.Second)
		return err == nil
	})
	return address
}

func TestRedisServer(t *testing.T) {
	address := redisServer(t)
	const password = `password = "canary-password"`
	if r := ok(t, redisProbeOf(t, address, password)); r.Value != 0 || r.Detail != "PONG" {
		t.Errorf("%+v, want 0 and PONG", r)
	}
	ok(t, redisProbeOf(t, address, password, `user = "default"`, "db = 3"))
	fails(t, redisProbeOf(t, address), "NOAUTH")
	_, err := fails(t, redisProbeOf(t, address, `password = "canary-wrong"`), "authenticating: the server answered")
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret is in %q", err)
	}
	fails(t, redisProbeOf(t, address, password, "db = 9999"), "choosing the database")
	ok(t, redisProbeOf(t, address, password, `command = "RPUSH jobs a b c"`))
	if r := ok(t, redisProbeOf(t, address, password, `command = "LLEN jobs"`, "parse = true")); r.Value != 3 {
		t.Errorf("length %v, want 3", r.Value)
	}
	ok(t, redisProbeOf(t, address, password, `command = "SET load 1.5"`))
	if r := ok(t, redisProbeOf(t, address, password, `command = "GET load"`, "parse = true")); r.Value != 1.5 {
		t.Errorf("load %v, want 1.5", r.Value)
	}
	fails(t, redisProbeOf(t, address, password, `command = "GET nothing"`), "the server answered nil")
	fails(t, redisProbeOf(t, address, password, `command = "GET jobs"`), "WRONGTYPE")
	if r := ok(t, redisProbeOf(t, address, password, `command = "LRANGE jobs 0 -1"`)); r.Detail != "3 elements" {
		t.Errorf("detail %q", r.Detail)
	}
	ok(t, redisProbeOf(t, address, password, `command = "SET word abc"`))
	fails(t, redisProbeOf(t, address, password, `command = "GET word"`, "parse = true"), `the answer is not a decimal number: "abc"`)
}

func TestRedisProbeRefusesMalformedReplies(t *testing.T) {
	answer := func(text string) string {
		return testkit.ServeConns(t, func(c net.Conn) {
			io.WriteString(c, text)
			io.Copy(io.Discard, c)
		})
	}
	before := rss(t)
	for text, want := range map[string]string{
		"$4000000000\r\n":                "larger than 64 KiB",
		"$9223372036854775807\r\n":       "larger than 64 KiB",
		"$99999999999999999999\r\n":      "not a Redis reply",
		"$-1\r\n":                        "nil",
		"HTTP/1.1 400\r\n":               "not a Redis reply",
		"\r\n":                           "not a Redis reply",
		"+" + strings.Repeat("x", 1<<20): "larger than 64 KiB",
		"-ERR " + strings.Repeat("y", 999) + "\r\n": "the server answered",
	} {
		fails(t, redisProbeOf(t, answer(text)), want)
	}
	if r := ok(t, redisProbeOf(t, answer("*2147483647\r\n"))); r.Detail != "2147483647 elements" {
		t.Errorf("detail %q", r.Detail)
	}
	if grown := rss(t) - before; grown > 8*raceFactor<<20 {
		t.Errorf("RSS grew by %d MiB", grown>>20)
	}
	timesOut(t, redisProbeOf(t, answer("")))
	timesOut(t, redisProbeOf(t, answer("$10\r\nab")))
}

func TestRedisKeysAreChecked(t *testing.T) {
	refusedWith(t, "redis", map[string]string{
		"":                                   "address: this key is required",
		"address = \"h:1\"\ncommand = \" \"": "command: this key is required",
		"address = \"h:1\"\ncommand = \"MONITOR\"":     "MONITOR does not answer once",
		"address = \"h:1\"\ncommand = \"subscribe x\"": "SUBSCRIBE does not answer once",
		"address = \"h:1\"\ndb = -1":                   "db: -1 is out of range",
		"address = \"h:1\"\ncommand = 'GET \"a'":       "command: a quote is not closed",
		"address = \"h:1\"\ncommand = 'GET \"a\"b'":    "command: a closing quote must be followed by a blank",
		"address = \"h:1\"\nunix = \"/s\"":             "give only one of address and unix",
		"unix = \"s\"":                                 `unix: "s" is not an absolute path`,
		"unix = \"/" + strings.Repeat("s", 107) + "\"": "want at most 107 bytes",
		"address = \"h:1\"\nexpect_not = \"(\"":        "expect_not: ",
	})
}
