package action

import (
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// testEnv is the environment of all actions in tests.
var testEnv = Env{Host: "host1", Version: "1.2.3"}

// build makes an action of a kind from TOML keys.
func build(tb testing.TB, kind, text string) Action {
	tb.Helper()
	a, err := Builtin()[kind](testkit.DecodeTOML(text), testEnv)
	if err != nil {
		tb.Fatalf("building %s: %v", kind, err)
	}
	return a
}

func TestBadKeysAreRefusedWithAReason(t *testing.T) {
	for _, c := range []struct{ kind, text, want string }{
		{"exec", ``, "command is missing: name the program to run"},
		{"exec", `comand = "x"`, `unknown key "comand"`},
		{"exec", "command = \"x\"\nargs = [\"a\\u0000\"]", "command and args must not hold NUL bytes"},
		{"exec", "command = \"x\"\nenv = [\"A=1\", \"B\"]", "env: entry 2 is not NAME=VALUE"},
		{"exec", "command = \"x\"\ntimeout = 601", "timeout 10m1s is out of range: give at most 10m0s"},
		{"exec", "command = \"x\"\ntimeout = -1", "out of range"},
		{"http", ``, "no URL given: give url_fail, url_recover or url_init"},
		{"http", `url_fail = "ftp://example.org"`, "url_fail is not an HTTP URL: give http:// or https:// and a host"},
		{"http", `url_fail = "/path"`, "url_fail is not an HTTP URL: give http:// or https:// and a host"},
		{"http", `url_fail = "http://canary-secret@ho st"`, "url_fail is not a URL"},
		{"http", "url_fail = \"http://x\"\nmethod = \"fetch\"", `unknown method "fetch": give one of DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT`},
		{"http", "url_fail = \"http://x\"\nmethod = \"get\"\nbody = \"x\"", "a request of method GET has no body: give method POST, PUT or PATCH"},
		{"http", "url_fail = \"http://x\"\nbody = \"{{.NoSuch}}\"", "can't evaluate field NoSuch"},
		{"http", "url_fail = \"http://x\"\ncontent_type = \"text/plain\"", "content_type requires body"},
		{"http", "url_fail = \"http://x\"\n[header]\n\"X A\" = \"b\"", `header "X A" is not a valid header name`},
		{"http", "url_fail = \"http://x\"\n[header]\nX-A = \"canary\\r\\nEvil: 1\"", `header "X-A" is not a valid header name, or its value has control characters`},
		{"http", "url_fail = \"http://x\"\n[header]\nHost = \"a b\"", `header "Host" is not a valid host`},
		{"http", "url_fail = \"http://x\"\n[tls]\nca_file = \"/no/such/file\"", "tls: reading ca_file: open /no/such/file: no such file or directory"},
		{"mail", ``, "from is missing: give the address of the sender"},
		{"mail", `from = "no address"`, `from: "no address" is not an address`},
		{"mail", "from = \"a@b.c\"\nto = [\"x@y.z\", \"?\"]", `to: "?" is not an address`},
		{"mail", "from = \"a@b.c\"\nto = [\"x@y.z\\r\\nRCPT TO:<evil@x.y>\"]", `is not an address`},
		{"mail", "from = \"a@b.c\"\nsubject = \"{{\"", "subject: template: subject:1: unclosed action"},
		{"mail", "from = \"a@b.c\"\nbody = \"{{.NoSuch}}\"", "can't evaluate field NoSuch"},
		{"mail", "from = \"a@b.c\"\nserver = \"localhost\"", `server: "localhost" is not HOST:PORT`},
		{"mail", "from = \"a@b.c\"\ntls = \"yes\"", `tls: unknown mode "yes": give starttls, tls or none`},
		{"mail", "from = \"a@b.c\"\npassword = \"canary\"", "password requires user"},
		{"mail", "from = \"a@b.c\"\nuser = \"u\"\npassword = \"canary\"\npassword_env = \"X\"", "give only one of password, password_file and password_env"},
		{"mail", "from = \"a@b.c\"\n[header]\nReply-To = \"x@y.z\"", `header "Reply-To" must begin with X- and hold letters, digits and '-' only`},
		{"mail", "from = \"a@b.c\"\n[header]\n\"X-A: b\\r\\nX-C\" = \"d\"", `must begin with X-`},
		{"mail", "from = \"a@b.c\"\n[header]\nX-A = \"b\\r\\nEvil: 1\"", `header "X-A" is reserved, or its value is not one printable line`},
		{"mail", "from = \"a@b.c\"\n[header]\nx-monitor-incident = \"b\"", `header "x-monitor-incident" is reserved, or its value is not one printable line`},
		{"notify", ``, "url is missing: give url, url_file or url_env"},
		{"notify", `url = "canary"`, `url is not a URL such as "slack://hook:TOKEN@webhook"`},
		{"notify", `url = "nosuch://canary"`, `url: unknown service "nosuch"`},
		{"notify", `url = "logger://"`, `url: service "logger" notifies nobody`},
		{"notify", `url = "slack://canary-too-short"`, `url: service "slack": `},
		{"notify", `url = "slack+http://x/"`, `url: service "slack" supports no URL of another scheme`},
		{"notify", `url_env = "NO_SUCH_VARIABLE"`, `url_env: variable "NO_SUCH_VARIABLE" is not set`},
		{"notify", `url_file = "/no/such/file"`, "reading url_file: open /no/such/file: no such file or directory"},
		{"publish", `topic = ""`, `topic "" is not one printable word: leave it out for "micro.monitor.transition"`},
		{"publish", `topic = "a\nb"`, `is not one printable word`},
	} {
		_, err := Builtin()[c.kind](testkit.DecodeTOML(c.text), testEnv)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: got %v, want %s", c.kind, c.text, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s %q: a secret is shown: %v", c.kind, c.text, err)
		}
	}
}

// Faults: G19.
func TestNumbersOfTOMLAreAccepted(t *testing.T) {
	for kind, text := range map[string]string{
		"exec": "command = \"/bin/true\"\ntimeout = 5\n",
		"http": "url_fail = \"http://localhost/\"\ntimeout = 5\n",
	} {
		for _, form := range []string{text, strings.Replace(text, "= 5", "= 5.0", 1), strings.Replace(text, "= 5", "= \"5s\"", 1)} {
			a := build(t, kind, form)
			if got := timeoutOf(a).String(); got != "5s" {
				t.Errorf("%s: got timeout %s, want 5s", kind, got)
			}
		}
	}
}

// Faults: G14, G47.
func TestZeroTimeoutMeansTheDefault(t *testing.T) {
	for kind, text := range map[string]string{
		"exec": "command = \"/bin/true\"\n",
		"http": "url_fail = \"http://localhost/\"\n",
	} {
		for _, form := range []string{text, text + "timeout = 0\n"} {
			if got := timeoutOf(build(t, kind, form)); got != DefaultTimeout {
				t.Errorf("%s: got timeout %v, want %v", kind, got, DefaultTimeout)
			}
		}
	}
}

// timeoutOf returns the timeout of an action's program or request.
func timeoutOf(a Action) time.Duration {
	if e, ok := a.(*execAction); ok {
		return e.timeout
	}
	return a.(Deadliner).Deadline()
}
