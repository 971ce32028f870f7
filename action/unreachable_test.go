package action

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

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
		for fault, want := range map[string]bool{"hang": stage != ".", "drop": stage != ".", "451 later": false} {
			if stage == "EHLO" && fault == "451 later" {
				continue // it goes on with HELO
			}
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
