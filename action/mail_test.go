package action

import (
	"bufio"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// subjectOf decodes the subject of a mail.
func subjectOf(tb testing.TB, h mail.Header) string {
	tb.Helper()
	s, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestMailIsGomas(t *testing.T) {
	box := testkit.NewMailbox(t, "none")
	a := build(t, "mail", testkit.MailKeys(box.Addr, `to = ["Ops <ops@example.org>"]
init_to = ["init@example.org"]
fail_to = ["fail@example.org", "ops@example.org"]
recover_to = ["recover@example.org"]
[header]
X-Team = "infra"`))
	for _, c := range []struct {
		n    Notification
		to   []string
		id   string
		body []string
	}{
		{testInit, []string{"init@example.org"}, "db-init-1795222800000000000", []string{"Event: init", "Value: 0"}},
		{testFail, []string{"ops@example.org", "fail@example.org"}, "01ABC-fail", []string{"Monitor: db", "Host: host1", "Date: 2026-11-21T01:00:00Z", "Event: fail", "Value: 1.5", "Version: 1.2.3", "Incident: 01ABC", "Error: no answer"}},
		{testRecover, []string{"ops@example.org", "recover@example.org"}, "01ABC-recover", []string{"Event: recover", "Duration: 90"}},
		{testRepeat, []string{"ops@example.org", "fail@example.org"}, "01ABC-repeat-9", []string{"Event: repeat", "Value: 2"}},
	} {
		c.n.Labels = map[string]string{"runbook": "https://wiki.example.org/db"}
		c.body = append(c.body, "runbook: https://wiki.example.org/db")
		subject := "alert from db on host1"
		if c.n.Event != Fail {
			subject += ": " + string(c.n.Event)
		}
		if c.n.Event != Init {
			c.body = append(c.body, "Since: 2026-11-21T01:00:00Z")
		}
		if err := a.Notify(t.Context(), []Notification{c.n}); err != nil {
			t.Fatal(err)
		}
		mails := box.Received()
		m := mails[len(mails)-1]
		h, body := m.Parse(t)
		if m.From != "monitor@example.org" || !slices.Equal(m.To, c.to) {
			t.Errorf("%s: got %q to %q, want %q", c.n.Event, m.From, m.To, c.to)
		}
		if to, err := h.AddressList("To"); err != nil || len(to) != len(c.to) {
			t.Errorf("%s: got To %v, %v", c.n.Event, to, err)
		}
		for name, want := range map[string]string{
			"From": `"Monitor" <monitor@example.org>`, "Subject": subject, "X-Team": "infra",
			"X-Monitor-Incident": c.n.Incident, "Message-Id": "<" + c.id + "@example.org>", "Auto-Submitted": "auto-generated",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: header %s: got %q, want %q", c.n.Event, name, got, want)
			}
		}
		if date, err := h.Date(); err != nil || !date.Equal(c.n.Time.Truncate(time.Second)) {
			t.Errorf("%s: got date %v, %v", c.n.Event, date, err)
		}
		for _, want := range c.body {
			if !slices.Contains(strings.Split(body, "\n"), want) {
				t.Errorf("%s: %q is missing in\n%s", c.n.Event, want, body)
			}
		}
	}
}

func TestMailTemplatesAndBcc(t *testing.T) {
	box := testkit.NewMailbox(t, "none")
	a := build(t, "mail", testkit.MailKeys(box.Addr, `to = ["a@example.org", "b@example.org"]
bcc = true
subject = "{{.Event}} über {{.Monitor}}"
body = "{{.Monitor}} {{.Date}} {{.Date.Year}} {{.Duration}}s {{.Labels.team}}"`))
	n := testRecover
	n.Labels = map[string]string{"team": "infra"}
	sendAll(t, a, n)
	m := box.Received()[0]
	h, body := m.Parse(t)
	if h.Get("To") != "" || h.Get("Bcc") != "" || len(m.To) != 2 {
		t.Errorf("got To %q, Bcc %q, sent to %q", h.Get("To"), h.Get("Bcc"), m.To)
	}
	if got := subjectOf(t, h); got != "recover über db" {
		t.Errorf("got subject %q", got)
	}
	if want := "db 2026-11-21T01:01:30Z 2026 90s infra"; strings.TrimSpace(body) != want {
		t.Errorf("got body %q, want %q", body, want)
	}
}

func TestMailWithoutRecipientIsNotSent(t *testing.T) {
	a := build(t, "mail", testkit.MailKeys("127.0.0.1:1", `recover_to = ["a@example.org"]`))
	sendAll(t, a, testInit, testFail, testRepeat)
}

func TestMailByTLSAndLogin(t *testing.T) {
	password := testkit.NewFile(t, "password", "s3cret-password\n")
	t.Setenv("MAIL_PASSWORD", "s3cret-password")
	const to = "to = [\"a@example.org\"]\n"
	for name, c := range map[string]struct {
		server string
		keys   string
		tls    bool
		user   string
		want   string // in the error
	}{
		"clear":                     {"none", "", false, "", ""},
		"clear, login on localhost": {"none", "user = \"user\"\npassword = \"s3cret-password\"", false, "user", ""},
		"none":                      {"starttls", "tls = \"none\"", false, "", ""},
		"starttls":                  {"starttls", "tls = \"starttls\"\nca_file = CA", true, "", ""},
		"starttls, login":           {"starttls", "tls = \"starttls\"\nca_file = CA\nuser = \"user\"\npassword_file = FILE", true, "user", ""},
		"starttls as offered":       {"starttls", "ca_file = CA", true, "", ""},
		"tls":                       {"tls", "tls = \"tls\"\nca_file = CA\nuser = \"user\"\npassword_env = \"MAIL_PASSWORD\"", true, "user", ""},
		"tls, any certificate":      {"tls", "tls = \"tls\"\ninsecure_skip_verify = true", true, "", ""},
		"tls, unknown authority":    {"tls", "tls = \"tls\"", false, "", "certificate"},
		"tls, other name":           {"tls", "tls = \"tls\"\nca_file = CA\nserver_name = \"other\"", false, "", "certificate"},
		"starttls, unknown":         {"starttls", "", false, "", "certificate"},
		"starttls not offered":      {"none", "tls = \"starttls\"", false, "", "the server does not offer STARTTLS"},
		"wrong password":            {"starttls", "ca_file = CA\nuser = \"user\"\npassword = \"canary-password\"", false, "", "logging in by PLAIN"},
	} {
		t.Run(name, func(t *testing.T) {
			box := testkit.NewMailbox(t, c.server)
			keys := strings.NewReplacer("CA", fmt.Sprintf("%q", box.CAFile), "FILE", fmt.Sprintf("%q", password)).Replace(c.keys)
			err := build(t, "mail", testkit.MailKeys(box.Addr, to+keys)).Notify(t.Context(), []Notification{testFail})
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") || len(box.Received()) != 0 {
					t.Errorf("got %v and %d mails, want %q", err, len(box.Received()), c.want)
				}
				return
			}
			if err != nil || len(box.Received()) != 1 {
				t.Fatalf("got %v and %d mails", err, len(box.Received()))
			}
			if m := box.Received()[0]; m.TLS != c.tls || m.User != c.user {
				t.Errorf("got TLS %v, user %q, want %v, %q", m.TLS, m.User, c.tls, c.user)
			}
		})
	}
}

// Faults: T43.
func TestPasswordIsNotSentInClearText(t *testing.T) {
	s := testkit.NewBadSMTPServer(t, "", "", "AUTH PLAIN LOGIN")
	_, port, _ := net.SplitHostPort(s.Addr)
	a := build(t, "mail", testkit.MailKeys("127.0.0.1:"+port, "to = [\"a@example.org\"]\nuser = \"user\"\npassword = \"s3cret-password\"")).(*mailAction)
	a.server.host = "127.0.0.1.nip.example" // not this machine, as far as the name tells
	a.server.port = port
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := a.startSession(t.Context(), conn); err == nil || !strings.Contains(err.Error(), "unencrypted") {
		t.Errorf("got %v, want a refusal to log in without TLS", err)
	}
	if len(s.Logins) != 0 {
		t.Errorf("the server received %q", s.Logins)
	}
}

func TestMailLogsInByWhatIsOffered(t *testing.T) {
	for offer, want := range map[string]string{"AUTH LOGIN": "AUTH LOGIN", "AUTH LOGIN PLAIN": "AUTH PLAIN", "AUTH PLAIN CRAM-MD5": "AUTH CRAM-MD5"} {
		s := testkit.NewBadSMTPServer(t, "", "", offer)
		a := build(t, "mail", testkit.MailKeys(s.Addr, "to = [\"a@example.org\"]\nuser = \"user\"\npassword = \"s3cret-password\""))
		sendAll(t, a, testFail)
		if len(s.Logins) != 1 || !strings.HasPrefix(s.Logins[0], want) {
			t.Errorf("%s: got %q, want %s", offer, s.Logins, want)
		}
	}
	s := testkit.NewBadSMTPServer(t, "", "", "AUTH GSSAPI")
	a := build(t, "mail", testkit.MailKeys(s.Addr, "to = [\"a@example.org\"]\nuser = \"user\"\npassword = \"s3cret-password\""))
	if err := a.Notify(t.Context(), []Notification{testFail}); err == nil || !strings.Contains(err.Error(), "no supported authentication: GSSAPI") {
		t.Errorf("got %v", err)
	}
}

// Faults: G15.
func TestWholeSMTPConversationHasADeadline(t *testing.T) {
	if d := build(t, "mail", testkit.MailKeys("localhost:25", "")).(Deadliner).Deadline(); d != 30*time.Second {
		t.Errorf("got a deadline of %v, want 30s", d)
	}
	for _, stage := range testkit.SMTPStages {
		for _, fault := range []string{"hang", "flood", "drip", "drop"} {
			t.Run(stage+" "+fault, func(t *testing.T) {
				t.Parallel()
				s := testkit.NewBadSMTPServer(t, stage, fault, "AUTH PLAIN")
				a := build(t, "mail", testkit.MailKeys(s.Addr, "to = [\"a@example.org\"]\nuser = \"user\"\npassword = \"canary-password\"")).(*mailAction)
				a.timeout = 300 * time.Millisecond
				var err error
				testkit.TakesAtMost(t, time.Second, func() { err = a.Notify(t.Context(), []Notification{testFail}) })
				var permanent *Permanent
				if err == nil || errors.As(err, &permanent) || strings.Contains(err.Error(), "canary") {
					t.Errorf("got %T %v, want an error that may pass", err, err)
				}
				if fault == "hang" && !strings.HasSuffix(err.Error(), "no answer within 300ms") {
					t.Errorf("got %v, want the deadline named", err)
				}
			})
		}
	}
}

// Faults: G15.
func TestEndlessSMTPReplyIsCutOff(t *testing.T) {
	for _, stage := range testkit.SMTPStages {
		s := testkit.NewBadSMTPServer(t, stage, "flood", "AUTH PLAIN")
		a := build(t, "mail", testkit.MailKeys(s.Addr, "to = [\"a@example.org\"]\nuser = \"user\"\npassword = \"p\""))
		if err := a.Notify(t.Context(), []Notification{testFail}); err == nil || !strings.Contains(err.Error(), "sent more than 1048576 bytes") {
			t.Errorf("%s: got %v", stage, err)
		}
	}
}

// A reply before the first mail refuses the session, which says nothing about the mail.
// Faults: T43, C14.
func TestSMTPReplyDecidesWhetherToRetry(t *testing.T) {
	for _, stage := range testkit.SMTPStages {
		for answer, refuses := range map[string]bool{"421 closing": false, "451 later": false, "500 what": true, "554 no": true} {
			t.Run(stage+" "+answer, func(t *testing.T) {
				ofMail := stage != "banner" && stage != "EHLO" && stage != "AUTH"
				s := testkit.NewBadSMTPServer(t, stage, answer, "AUTH PLAIN")
				a := build(t, "mail", testkit.MailKeys(s.Addr, "to = [\"a@example.org\"]\nuser = \"user\"\npassword = \"canary-password\""))
				err := a.Notify(t.Context(), []Notification{testFail})
				want := answer
				if stage == "EHLO" && refuses { // it goes on with HELO, by which nobody can log in
					want = "the server offers no login"
				}
				var p *Permanent
				if err == nil || errors.As(err, &p) != (ofMail && refuses) || !strings.Contains(err.Error(), want) {
					t.Errorf("got %T %v, want permanent %v with %q", err, err, ofMail && refuses, want)
				}
			})
		}
	}
}

func TestMailIsTakenEvenIfTheFarewellHangs(t *testing.T) {
	s := testkit.NewBadSMTPServer(t, "QUIT", "hang")
	begin := time.Now()
	sendAll(t, build(t, "mail", testkit.MailKeys(s.Addr, `to = ["a@example.org"]`)), testFail)
	if took := time.Since(begin); took > 15*time.Second || len(s.Received()) != 1 {
		t.Errorf("took %v, %d mails, want one well within the deadline of 30 s", took, len(s.Received()))
	}
}

// buildMailWithLog makes an action that logs to log.
func buildMailWithLog(t *testing.T, addr, keys string) (a Action, log *strings.Builder) {
	t.Helper()
	log = new(strings.Builder)
	env := testEnv
	env.Log = testkit.InfoTo(log)
	a, err := newMail(testkit.DecodeTOML(testkit.MailKeys(addr, keys)), env)
	if err != nil {
		t.Fatal(err)
	}
	return a, log
}

func TestMailToSomeWhenOthersAreRefused(t *testing.T) {
	box := testkit.NewMailbox(t, "none")
	box.Refuse["gone@example.org"] = &testkit.NoUser
	a, log := buildMailWithLog(t, box.Addr, `to = ["gone@example.org", "a@example.org"]`)
	sendAll(t, a, testFail)
	if mails := box.Received(); len(mails) != 1 || !slices.Equal(mails[0].To, []string{"a@example.org"}) {
		t.Errorf("got %+v, want a mail to the one that is taken", mails)
	}
	if !strings.Contains(log.String(), "gone@example.org") {
		t.Errorf("the refused one is not in the log: %s", log)
	}
	box.Refuse["a@example.org"] = &testkit.NoUser
	var permanent *Permanent
	if err := a.Notify(t.Context(), []Notification{testFail}); !errors.As(err, &permanent) {
		t.Errorf("got %v, want it permanent when nobody is taken", err)
	}
}

func TestMailNobodyGetsASecondCopyBecauseOfAnother(t *testing.T) {
	box := testkit.NewMailbox(t, "none")
	box.Refuse["grey@example.org"] = &testkit.GreyListed
	a := build(t, "mail", testkit.MailKeys(box.Addr, "to = [\"grey@example.org\", \"a@example.org\"]\nrecover_to = [\"b@example.org\"]"))
	ns := []Notification{testFail, testRecover}
	var permanent *Permanent
	if err := a.Notify(t.Context(), ns); err == nil || errors.As(err, &permanent) {
		t.Fatalf("got %v, want an error that may pass", err)
	}
	delete(box.Refuse, "grey@example.org")
	if err := a.Notify(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, m := range box.Received() {
		for _, to := range m.To {
			got[to]++
		}
	}
	if len(got) != 3 || got["a@example.org"] != 1 || got["b@example.org"] != 1 || got["grey@example.org"] != 1 {
		t.Errorf("got mails %v, want one each", got)
	}
	if err := a.Notify(t.Context(), ns); err != nil || len(box.Received()) != 5 {
		t.Errorf("got %v and %d mails: what was sent long ago must not be remembered", err, len(box.Received()))
	}
}

// Faults: T47.
func TestMailListsWholeGroup(t *testing.T) {
	box := testkit.NewMailbox(t, "none")
	a := build(t, "mail", testkit.MailKeys(box.Addr, "to = [\"a@example.org\", \"A@example.org\"]\nrecover_to = [\"b@example.org\"]"))
	var ns []Notification
	for i := range 2000 {
		n := testFail
		n.Monitor, n.Incident = fmt.Sprint("monitor-", i), fmt.Sprint("INC", i)
		ns = append(ns, n)
	}
	ns = append(ns, testRecover)
	if err := a.Notify(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	mails := box.Received()
	if len(mails) != 2 {
		t.Fatalf("%d mails, want 2: one with all, one with the recovery", len(mails))
	}
	h, body := mails[0].Parse(t)
	if got := subjectOf(t, h); got != "alert: 2000 failed, 1 recovered on host1" || h.Get("X-Monitor-Incident") != "" {
		t.Errorf("got subject %q", got)
	}
	for _, n := range ns {
		if strings.Count(body, "["+n.Incident+"]") != 1 || !strings.Contains(body, n.Monitor) {
			t.Fatalf("%s is not listed once", n.Incident)
		}
	}
	if strings.Contains(body, "RECOVERED db after 1m31s") != true {
		t.Errorf("the recovery is not listed:\n%.500s", body)
	}
	if h, _ := mails[1].Parse(t); !slices.Equal(mails[1].To, []string{"b@example.org"}) || h.Get("X-Monitor-Incident") != "01ABC" {
		t.Errorf("got %q with %q", mails[1].To, h.Get("X-Monitor-Incident"))
	}
}

// Faults: T47.
func TestCustomTemplatesListWholeGroup(t *testing.T) {
	box := testkit.NewMailbox(t, "none")
	a := build(t, "mail", testkit.MailKeys(box.Addr, "to = [\"a@example.org\"]\nsubject = \"{{.Monitor}} {{.Event}}\"\nbody = \"<{{.Monitor}} {{.Event}}>\""))
	if err := a.Notify(t.Context(), []Notification{testFail, testRecover, testRepeat}); err != nil {
		t.Fatal(err)
	}
	h, body := box.Received()[0].Parse(t)
	if got := subjectOf(t, h); got != "db fail (and 2 more)" {
		t.Errorf("got subject %q", got)
	}
	if got := strings.Join(strings.Fields(body), " "); got != "<db fail> <db recover> <db repeat>" {
		t.Errorf("got body %q", got)
	}
	big := build(t, "mail", testkit.MailKeys(box.Addr, "to = [\"a@example.org\"]\nbody = '{{.Monitor}}{{printf \"%30000d\" .Seq}}'"))
	var ns []Notification
	for i := range 100 {
		n := testFail
		n.Incident = fmt.Sprint("INC", i)
		ns = append(ns, n)
	}
	if err := big.Notify(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	_, body = box.Received()[1].Parse(t)
	if len(body) > 100_000 || strings.Count(body, "[INC") != 100 {
		t.Errorf("got %d bytes with %d notifications, want the short list", len(body), strings.Count(body, "[INC"))
	}
}

// Faults: T48.
func TestNamesCannotForgeMails(t *testing.T) {
	box := testkit.NewMailbox(t, "none")
	evil := "db\r\nBcc: victim@example.org\r\n\r\nforged {{.Host}} \u202etxt\x00"
	n := testFail
	n.Monitor, n.Host, n.Error, n.Incident, n.Version = evil, evil, evil, "01\r\nX-Evil: 1", evil
	a := build(t, "mail", testkit.MailKeys(box.Addr, "to = [\"a@example.org\"]"))
	sendAll(t, a, n)
	if err := a.Notify(t.Context(), []Notification{n, testFail}); err != nil {
		t.Fatal(err)
	}
	for _, m := range box.Received() {
		h, body := m.Parse(t)
		checkHeader(t, h)
		if !slices.Equal(m.To, []string{"a@example.org"}) {
			t.Errorf("sent to %q", m.To)
		}
		if got := subjectOf(t, h); strings.ContainsAny(got, "\r\n\x00\u202e") {
			t.Errorf("got subject %q", got)
		}
		if strings.ContainsAny(body, "\r\x00\u202e") || !strings.Contains(body, "{{.Host}}") {
			t.Errorf("got body %q", body)
		}
	}
}

// checkHeader checks that a mail has our headers and no others, each once.
func checkHeader(t interface {
	Helper()
	Errorf(format string, args ...any)
}, h mail.Header) {
	t.Helper()
	allowed := []string{
		"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Content-Transfer-Encoding",
		"Auto-Submitted", "X-Monitor-Incident",
	}
	for name, values := range h {
		if !slices.Contains(allowed, name) || len(values) != 1 {
			t.Errorf("header %s: %q", name, values)
		}
	}
}

// A server that answers in 170,000 lines costs no more than one that answers in few.
func TestLongRepliesCostLittle(t *testing.T) {
	s := smtpSession{replies: bufio.NewReader(strings.NewReader(strings.Repeat("250-\r\n", maxReplyBytes/6) + "250 end\r\n"))}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	code, lines, err := s.reply()
	runtime.ReadMemStats(&after)
	if code != 250 || !strings.HasSuffix(lines, "\nend") || err != nil {
		t.Errorf("got %d, %d bytes, %v", code, len(lines), err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16*maxReplyBytes {
		t.Errorf("%d MiB were allocated for %d KiB", grown>>20, maxReplyBytes>>10)
	}
}
