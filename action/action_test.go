package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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

// Faults: S12, C15, C17.
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
		{"mail", "from = \"a@b.c\"\nserver = \"smtp://u:canary@h:25\"", "server is not HOST:PORT: give the host and the port only, and the login in user and password"},
		{"mail", "from = \"a@b.c\"\nserver = \"u:canary@h:25\"", "server is not HOST:PORT: give the host and the port only"},
		{"mail", "from = \"a@b.c\"\nserver = \"-ü:25\"", `server: the domain "-ü" is not valid`},
		{"mail", "from = \"a@b.c\"\nto = [\"x@-ü.example\"]", `to: "x@-ü.example" is not an address: the domain "-ü.example" is not valid`},
		{"mail", "from = \"a@b.c\"\nhelo = \"a b\"", `helo: "a b" is not a host name such as monitor.example.org, or an address in brackets`},
		{"mail", "from = \"a@b.c\"\nhelo = \"a\\r\\nRSET\"", "is not a host name"},
		{"http", "url_fail = \"http://x\"\n[header]\n\"Authorization: canary\" = \"x\"", `header "Authorization" is not a valid header name`},
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
		{"notify", "url = \"opsgenie://api.opsgenie.com/canary-5ecret\"\nnotify_init = true", `notify_init: "opsgenie" would page somebody at each start: leave it out`},
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

// Attempts fail at each point. Only those that cannot have been delivered are
// Unreachable.
// Faults: T43.
func TestOnlyReceiversThatGotNothingAreUnreachable(t *testing.T) {
	closed, _ := testkit.RefusingAddress(t)
	silent := testkit.ServeConns(t, func(c net.Conn) { testkit.ReadHTTPRequest(c) })
	check := func(name string, a Action, want bool) {
		t.Helper()
		err := a.Notify(t.Context(), []Notification{testFail})
		var unreachable *Unreachable
		if err == nil || errors.As(err, &unreachable) != want || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %T %v, want unreachable %v", name, err, err, want)
		}
	}
	check("http, refused", build(t, "http", fmt.Sprintf("url_fail = \"http://%s/canary-path\"", closed)), true)
	check("http, no such host", build(t, "http", `url_fail = "http://nobody.invalid/canary-path"`), true)
	check("http, no address answers", build(t, "http", "url_fail = \"http://192.0.2.1:9/canary-path\"\ntimeout = \"200ms\""), true)
	check("http, no answer", build(t, "http", fmt.Sprintf("url_fail = \"http://%s/canary-path\"", silent)), false)
	check("notify, refused", build(t, "notify", fmt.Sprintf("url = \"ntfy://%s/canary-topic?scheme=http\"", closed)), true)
	check("mail, refused", build(t, "mail", testkit.MailKeys(closed, `to = ["a@example.org"]`)), true)
	for _, stage := range testkit.SMTPStages {
		session := stage == "banner" || stage == "EHLO" || stage == "AUTH" // its refusal is no answer to the mail
		for fault, want := range map[string]bool{"hang": stage != ".", "drop": stage != ".", "451 later": session, "421 closing": stage != "."} {
			s := testkit.NewBadSMTPServer(t, stage, fault, "AUTH PLAIN")
			a := build(t, "mail", testkit.MailKeys(s.Addr, "to = [\"a@example.org\"]\nuser = \"user\"\npassword = \"canary-password\"")).(*mailAction)
			a.timeout = 300 * time.Millisecond
			check("mail, "+stage+" "+fault, a, want)
		}
	}
	s := testkit.NewBadSMTPServer(t, "", "")
	check("mail, STARTTLS stripped", build(t, "mail", testkit.MailKeys(s.Addr, "to = [\"a@example.org\"]\ntls = \"starttls\"")), false)
}

// The connection breaks after one of two mails was accepted. Its recipient must get
// no second copy, so the error is not Unreachable.
// Faults: T43.
func TestMailAcceptedByOneOfTwoIsNotUnreachable(t *testing.T) {
	s := testkit.NewBadSMTPServer(t, "MAIL", "drop")
	s.FailAfter = 1
	a := build(t, "mail", testkit.MailKeys(s.Addr, "to = [\"a@example.org\"]\nrecover_to = [\"b@example.org\"]"))
	err := a.Notify(t.Context(), []Notification{testFail, testRecover})
	if err == nil || errors.As(err, new(*Unreachable)) || len(s.Received()) != 1 {
		t.Errorf("got %T %v with %d mails, want one that may have been delivered", err, err, len(s.Received()))
	}
}

// Faults: G45.
func TestNoticeSurvivesJSONWithTimesInUTC(t *testing.T) {
	for _, n := range []Notification{testInit, testFail, testRecover, testRepeat, {}} {
		n.Labels = map[string]string{"team": "infra"}
		b, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "+09:00") {
			t.Errorf("a time is not in UTC: %s", b)
		}
		var got Notification
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(n, got, cmpopts.EquateApproxTime(0)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestNoticeWithoutNumberIsStillJSON(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		n := testFail
		n.Value = v
		b, err := json.Marshal([]Notification{n, testFail})
		if err != nil {
			t.Fatal(err)
		}
		var got []Notification
		if err := json.Unmarshal(b, &got); err != nil || !math.IsNaN(got[0].Value) || got[1].Value != 1.5 {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

func TestKeyNamesATransition(t *testing.T) {
	again := testRepeat
	again.Seq++
	later := testInit
	later.Time = later.Time.Add(time.Nanosecond)
	seen := map[string]bool{}
	for _, n := range []Notification{testInit, later, testFail, testRecover, testRepeat, again} {
		key := n.Key()
		if seen[key] || key != n.Key() {
			t.Errorf("key %q is not of one notification only", key)
		}
		seen[key] = true
		n.Error, n.Version, n.Host = "other", "other", "other"
		if n.Key() != key {
			t.Errorf("key %q depends on more than the transition", key)
		}
	}
}
