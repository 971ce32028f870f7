package probe

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

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

func redisProbeOf(tb testing.TB, address string, keys ...string) Probe {
	return probeAt(tb, "redis", address, keys)
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

// Faults: C32.
func TestRedisCommandsAreSplitAsRedisCLIDoes(t *testing.T) {
	for command, want := range map[string][]string{
		`GET key`:                     {"GET", "key"},
		"  GET\t key ":                {"GET", "key"},
		`GET "my key"`:                {"GET", "my key"},
		`GET 'my key'`:                {"GET", "my key"},
		`SET k ""`:                    {"SET", "k", ""},
		`SET k "a\"b\\c\n\x00\xff\q"`: {"SET", "k", "a\"b\\c\n\x00\xffq"},
		`SET k "\xZZ\x1"`:             {"SET", "k", "xZZx1"},
		`SET k 'it\'s \n'`:            {"SET", "k", `it's \n`},
		`GET a"b`:                     {"GET", `a"b`},
		`GET "schlüssel ☃"`:           {"GET", "schlüssel ☃"},
	} {
		if got, err := redisWords(command); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", command, got, err, want)
		}
	}
	for _, command := range []string{`GET "a`, `GET 'a`, `GET "a"b`, `GET 'a'b`, `"`, `GET "a\`} {
		if words, err := redisWords(command); err == nil {
			t.Errorf("%s: %q, want an error", command, words)
		}
	}
}

// Faults: C32, P1, P4.
func TestRedisUsersSocketsAndExpectations(t *testing.T) {
	socket := serverDir(t) + "/s"
	startServer(t, exec.Command(needProgram(t, "redis-server"), "--port", "0", "--unixsocket", socket, "--save", "", "--dir", t.TempDir(),
		"--user", "guest", "on", "nopass", "~*", "+@all", "--user", "default", "on", ">canary-password", "~*", "+@all"))
	of := func(keys string) Probe { return build(t, "redis", fmt.Sprintf("unix = %q\n%s", socket, keys), Env{}) }
	guest := "user = \"guest\"\n"
	testkit.Eventually(t, 30*time.Second, "redis-server answers", func() bool {
		_, err := run(t, of(guest), time.Second)
		return err == nil
	})
	fails(t, of(""), "unix:"+socket+": running PING: the server answered \"NOAUTH")
	fails(t, of("user = \"nobody\""), "authenticating: the server answered \"WRONGPASS")
	ok(t, of(guest+`command = 'SET "my key" "two words"'`))
	ok(t, of(guest+"command = 'GET \"my key\"'\nexpect = \"^two words$\"\nexpect_not = \"three\""))
	fails(t, of(guest+"command = 'GET \"my key\"'\nexpect_not = \"words\""), `the answer matches expect_not "words": "two words"`)
	fails(t, of(guest+"command = 'GET \"my key\"'\nexpect = \"^one\""), `the answer does not match expect "^one": "two words"`)
	ok(t, of(guest+"command = \"INFO replication\"\nexpect = \"role:master\"\nexpect_not = \"master_link_status:down\""))
	if r := ok(t, of(guest+"command = \"STRLEN 'my key'\"\nparse = true")); r.Value != 9 {
		t.Errorf("length %v, want 9", r.Value)
	}
	if r := ok(t, of(guest+"command = \"HELLO 3\"")); r.Detail != "7 elements" {
		t.Errorf("detail %q, want the elements of a map of RESP3", r.Detail)
	}
	refused(t, "redis", fmt.Sprintf("unix = %q", socket), Env{Restricted: true})
}

// Faults: C32.
func TestOddRedisReplies(t *testing.T) {
	for reply, want := range map[string]string{
		"+OK\r\n":                              "OK",
		",1.5\r\n":                             "1.5",
		"#t\r\n":                               "1",
		"#f\r\n":                               "0",
		"(3492890328409238509324850943850\r\n": "3492890328409238509324850943850",
		"=7\r\ntxt:abc\r\n":                    "abc",
		"%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n":       "2 elements",
		"~1\r\n+a\r\n":                         "1 elements",
		"$0\r\n\r\n":                           "",
		"_\r\n":                                "error: the server answered nil",
		"!9\r\nERR wrong\r\n":                  `error: the server answered "ERR wrong"`,
		"-LOADING Redis is loading\r\n":        `error: the server answered "LOADING Redis is loading"`,
		"-MOVED 3999 127.0.0.1:6381\r\n":       `error: the server answered "MOVED 3999 127.0.0.1:6381"`,
		"-READONLY You can't write\r\n":        `error: the server answered "READONLY You can't write"`,
		"HTTP/1.1 400 Bad Request\r\n\r\n":     `error: the answer is not a Redis reply: "HTTP/1.1 400 Bad Request"`,
		"220 mail.example ESMTP":               `error: the answer is not a Redis reply: "220 mail.example ESMTP"`,
		"SSH-2.0-OpenSSH\n":                    `error: the answer is not a Redis reply: "SSH-2.0-OpenSSH"`,
		"+OK\n":                                `error: the answer is not a Redis reply: "+OK"`,
		"\r\n":                                 "error: the answer is not a Redis reply",
		"$abc\r\n":                             "error: the answer is not a Redis reply",
		"$-2\r\n":                              "error: the server answered nil",
		"$5\r\nab":                             "error: the connection was closed before the answer was complete",
		"+half":                                "error: the connection was closed before the answer was complete",
		strings.Repeat("x", maxRedisAnswer+10): "error: the answer is not a Redis reply",
		"+" + strings.Repeat("x", maxRedisAnswer+9): "error: the connection was closed before the answer was complete, or the answer is larger",
		"\x15\x03\x01\x00\x02\x02\x46\n":            "error: the answer is not a Redis reply",
	} {
		server := testkit.ServeConns(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 100))
			_, _ = io.WriteString(c, reply)
			_ = c.Close()
		})
		r, err := run(t, redisProbeOf(t, server), 10*time.Second)
		got := r.Detail
		if err != nil {
			got = "error: " + err.Error()
			want = strings.Replace(want, "error: ", "error: "+server+": running PING: ", 1)
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%.40q: %.200s, want %s", reply, got, want)
		}
	}
}
