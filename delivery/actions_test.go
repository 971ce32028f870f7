package delivery

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// Faults: T46.
func TestOtherReceiversAreNotifiedWhileAProgramHangsOrCrashes(t *testing.T) {
	file, mark := t.TempDir()+"/runs", fmt.Sprint("TEST_MARK=hangs-", os.Getpid())
	d, stop := deliver(t, Options{Stop: 100 * time.Millisecond})
	hangs := d.Add("hangs", makeAction(t, "exec", testkit.ShellKeys(testkit.UnstoppableScript(file))+"env = [\""+mark+"\"]"))
	crashes := d.Add("crashes", makeAction(t, "exec", testkit.ShellKeys("kill -SEGV $$")))
	well := d.Add("well", makeAction(t, "exec", "command = \"true\""))
	hangs.Enqueue(sampleFail)
	crashes.Enqueue(sampleFail)
	testkit.Until(t, func() bool { _, err := os.Stat(file); return err == nil && crashes.Status().Failures > 0 })
	for i := range 5 {
		n := sampleFail
		n.Monitor = fmt.Sprint("db", i)
		well.Enqueue(n)
		testkit.Until(t, func() bool { return well.Status().Delivered == uint64(i+1) })
	}
	if s := crashes.Status(); !strings.Contains(s.LastError, "signal 11") {
		t.Errorf("got %+v, want the signal that ended the program", s)
	}
	if n := len(testkit.ProcessesWithEnv(t, mark)); n < 4 || hangs.Status().Delivered != 0 {
		t.Errorf("%d processes hang, want 4 at least; %+v", n, hangs.Status())
	}
	if _, err := stop(); err != nil {
		t.Log(err) // the killed program
	}
	testkit.Until(t, func() bool { return len(testkit.ProcessesWithEnv(t, mark)) == 0 })
}

// Faults: T43.
func TestOneMailPerIncidentAfterTheServerReturns(t *testing.T) {
	for _, stage := range testkit.SMTPStages {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			s := testkit.NewBadSMTPServer(t, stage, "hang", "AUTH PLAIN")
			a := actionWithDeadline{makeAction(t, "mail", testkit.MailKeys(s.Addr, "to = [\"a@example.org\"]\nuser = \"user\"\npassword = \"p\"")), 100 * time.Millisecond}
			d, _ := deliver(t, Options{MinBackoff: 20 * time.Millisecond, MaxBackoff: 50 * time.Millisecond, Window: 50 * time.Millisecond})
			r := d.Add("mail", a)
			r.Enqueue(sampleFail)
			testkit.Until(t, func() bool { return r.Status().Failures >= 2 })
			early := s.Received()
			s.Heal()
			testkit.Until(t, func() bool { return r.Status().Delivered == 1 })
			mails := s.Received()
			if want := len(early) + 1; len(mails) > want || (stage != "." && len(mails) != 1) {
				t.Errorf("%d mails, of which %d before the server healed", len(mails), len(early))
			}
			for _, m := range mails {
				if !strings.Contains(m, "Message-ID: <01ABC-fail@example.org>") {
					t.Errorf("a copy has another Message-ID:\n%s", m)
				}
			}
		})
	}
}

// Faults: T47.
func TestMailQueueOfTwoThousandIsDelivered(t *testing.T) {
	box := testkit.NewMailbox(t, "none")
	d, _ := deliver(t, Options{Window: 300 * time.Millisecond})
	r := d.Add("ops", makeAction(t, "mail", testkit.MailKeys(box.Addr, `to = ["a@example.org"]`)))
	for i := range 2000 {
		r.Enqueue(action.Notification{Monitor: fmt.Sprint("m", i), Host: "host1", Event: action.Fail, Incident: fmt.Sprint("INC", i), Time: time.Now()})
	}
	testkit.Until(t, func() bool { return r.Status().Delivered == 2000 })
	mails := box.Received()
	if len(mails) > 2 {
		t.Errorf("%d mails, want at most 2", len(mails))
	}
	listed := 0
	for _, m := range mails {
		_, body := m.Parse(t)
		listed += strings.Count(body, "INC")
	}
	if listed != 2000 {
		t.Errorf("%d are listed, want 2000", listed)
	}
}

// No secret of any key appears in errors, logs or the status.
// Faults: G28, T44, I10.
func TestSecretsOfActionsAppearNowhere(t *testing.T) {
	const canary = "canary-5ecret"
	refused := "127.0.0.1:1"
	for name, c := range map[string]struct{ kind, keys string }{
		"exec env":        {"exec", "command = \"/bin/sh\"\nargs = [\"-c\", \"echo $T; echo $T >&2; exit 1\"]\ndebug = true\nenv = [\"T=" + canary + "\"]"},
		"exec args":       {"exec", "command = \"/no/such\"\nargs = [\"" + canary + "\"]"},
		"http user":       {"http", "url_fail = \"http://u:" + canary + "@" + refused + "/\""},
		"http path":       {"http", "url_fail = \"http://" + refused + "/hooks/" + canary + "\""},
		"http query":      {"http", "url_fail = \"http://" + refused + "/?k=" + canary + "\""},
		"http header":     {"http", "url_fail = \"http://" + refused + "/\"\n[header]\nAuthorization = \"Bearer " + canary + "\""},
		"http params":     {"http", "url_fail = \"http://" + refused + "/\"\n[params]\ntoken = \"" + canary + "\""},
		"http bad URL":    {"http", "url_fail = \"http://" + canary + "@%zz\""},
		"mail":            {"mail", "from = \"a@b.c\"\nto = [\"a@b.c\"]\nserver = \"" + refused + "\"\nuser = \"u\"\npassword = \"" + canary + "\""},
		"notify token":    {"notify", "url = \"ntfy://u:" + canary + "@" + refused + "/" + canary + "?scheme=http\""},
		"notify bad":      {"notify", "url = \"slack://" + canary + "\""},
		"notify no such":  {"notify", "url = \"telegram://" + canary + "\""},
		"notify bad URL":  {"notify", "url = \"slack://" + canary + "%zz\""},
		"notify discord":  {"notify", "url = \"discord://" + canary + "@" + canary + "?nosuch=" + canary + "\""},
		"notify matrix":   {"notify", "url = \"matrix://u:" + canary + "@" + refused + "/?disableTLS=yes\""},
		"notify generic":  {"notify", "url = \"generic+http://" + refused + "/" + canary + "?disabletls=yes&@X-Key=" + canary + "\""},
		"notify opsgenie": {"notify", "url = \"opsgenie://" + refused + "/" + canary + "\""},
		"notify gotify":   {"notify", "url = \"gotify://" + refused + "/" + canary + "?disabletls=yes\""},
	} {
		t.Run(name, func(t *testing.T) {
			var said strings.Builder
			log := testkit.LogTo(&said)
			env := sampleEnv()
			env.Log = log
			a, err := action.Builtin()[c.kind](testkit.DecodeTOML(c.keys), env)
			if err != nil {
				fmt.Fprintln(&said, err)
			} else {
				fmt.Fprintf(&said, "%v %s %T\n", a, a, a)
				d, stop := deliver(t, Options{Log: log, MinBackoff: time.Hour, MaxBackoff: time.Hour})
				r := d.Add("r", a)
				r.Enqueue(sampleFail)
				testkit.Until(t, func() bool { return !r.Status().LastFailure.IsZero() })
				if _, err := stop(); err != nil {
					t.Error(err)
				}
				fmt.Fprintf(&said, "%+v %+v\n", d.Status(), d.Pending())
			}
			if said.Len() == 0 || strings.Contains(said.String(), canary) {
				t.Errorf("a secret is delivered, or nothing at all:\n%s", &said)
			}
		})
	}
}
