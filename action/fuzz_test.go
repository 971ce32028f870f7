package action

import (
	"math"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/text"
)

// For any notification, a mail has our headers only, goes to our recipients only, and
// can be parsed.
// Faults: T48.
func FuzzMailMessage(f *testing.F) {
	f.Add("db", "host1", "no answer", "01ABC", "fail", 1.5, int64(0))
	f.Add("db\r\nBcc: x@y.z", "h\n\nforged", "{{.Host}}\r\n.\r\nMAIL FROM:<x>", "01\r\nX-Evil: 1", "recover", math.NaN(), int64(-1))
	f.Add("\u202etxt.exe", "\x00", strings.Repeat("long ", 1000), strings.Repeat("i", 500), "repeat", math.Inf(1), int64(1)<<62)
	f.Add("=?utf-8?q?forged?=", "=?utf-8L\"\x88H|\rp?q?forged?=", "\r", "", "init", 0.0, int64(1))
	texts := []string{
		`to = ["a@example.org"]`,
		"to = [\"a@example.org\"]\nsubject = \"{{.Monitor}} {{.Error}} {{.Labels.x}}\"\nbody = \"{{.Error}}\\n{{.Host}} {{.Labels}}\"\n[header]\nX-Team = \"infra\"",
	}
	var actions []*mailAction
	for _, text := range texts {
		actions = append(actions, build(f, "mail", testkit.MailKeys("localhost:25", text)).(*mailAction))
	}
	f.Fuzz(func(t *testing.T, monitor, host, fault, incident, event string, value float64, at int64) {
		n := Notification{
			Monitor: monitor, Host: host, Event: Event(event), Incident: incident, Value: value, Error: fault, Version: host,
			Time: time.Unix(at%(1<<33), 0), Since: time.Unix(0, at), Labels: map[string]string{"x": fault, monitor: host},
		}
		switch n.Event {
		case Init, Fail, Recover, Repeat:
		default:
			n.Event = Fail
		}
		for _, a := range actions {
			for _, ns := range [][]Notification{{n}, {n, testFail, n}} {
				messages, err := a.messages(ns)
				if err != nil {
					if strings.Contains(err.Error(), errTooLong.Error()) {
						continue
					}
					t.Fatal(err)
				}
				for _, m := range messages {
					checkMessage(t, a, m)
				}
			}
		}
	})
}

func checkMessage(t *testing.T, a *mailAction, m mailMessage) {
	t.Helper()
	if len(m.to) != 1 || m.to[0].Address != "a@example.org" {
		t.Fatalf("goes to %v", m.to)
	}
	for _, c := range strings.ReplaceAll(string(m.data), "\r\n", "") {
		if c == '\r' || c == '\n' {
			t.Fatalf("a bare line break in %q", m.data)
		}
	}
	parsed, err := mail.ReadMessage(strings.NewReader(string(m.data)))
	if err != nil {
		t.Fatalf("%v in %q", err, m.data)
	}
	allowed := []string{
		"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Content-Transfer-Encoding",
		"Auto-Submitted", "X-Monitor-Incident", "X-Team",
	}
	for name, values := range parsed.Header {
		if !slices.Contains(allowed, name) || len(values) != 1 {
			t.Fatalf("header %s: %q in %q", name, values, m.data)
		}
	}
	to, err := parsed.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != "a@example.org" {
		t.Fatalf("got To %v, %v", to, err)
	}
	from, err := parsed.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Address != a.from.Address {
		t.Fatalf("got From %v, %v", from, err)
	}
	if id := parsed.Header.Get("Message-Id"); id != "<"+m.id+">" || strings.ContainsAny(m.id, "<> \t") {
		t.Fatalf("got Message-ID %q", id)
	}
	if got := subjectOf(t, parsed.Header); text.Line(got, 400) != got {
		t.Fatalf("got subject %q", got)
	}
	if _, err := testkit.ReadBody(parsed); err != nil {
		t.Fatalf("%v in %q", err, m.data)
	}
}
