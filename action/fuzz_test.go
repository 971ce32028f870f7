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

// Whatever a notice holds, a mail has one block of our headers, reaches our
// recipients only, and says what it should.
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
				letters, err := a.messages(ns)
				if err != nil {
					if strings.Contains(err.Error(), errLong.Error()) {
						continue
					}
					t.Fatal(err)
				}
				for _, l := range letters {
					checkLetter(t, a, l)
				}
			}
		}
	})
}

func checkLetter(t *testing.T, a *mailAction, l mailMessage) {
	t.Helper()
	if len(l.to) != 1 || l.to[0].Address != "a@example.org" {
		t.Fatalf("goes to %v", l.to)
	}
	for _, c := range strings.ReplaceAll(string(l.data), "\r\n", "") {
		if c == '\r' || c == '\n' {
			t.Fatalf("a bare line break in %q", l.data)
		}
	}
	m, err := mail.ReadMessage(strings.NewReader(string(l.data)))
	if err != nil {
		t.Fatalf("%v in %q", err, l.data)
	}
	allowed := []string{
		"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Content-Transfer-Encoding",
		"Auto-Submitted", "X-Monitor-Incident", "X-Team",
	}
	for name, values := range m.Header {
		if !slices.Contains(allowed, name) || len(values) != 1 {
			t.Fatalf("header %s: %q in %q", name, values, l.data)
		}
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != "a@example.org" {
		t.Fatalf("got To %v, %v", to, err)
	}
	from, err := m.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Address != a.from.Address {
		t.Fatalf("got From %v, %v", from, err)
	}
	if id := m.Header.Get("Message-Id"); id != "<"+l.id+">" || strings.ContainsAny(l.id, "<> \t") {
		t.Fatalf("got Message-ID %q", id)
	}
	if got := subjectOf(t, m.Header); text.Line(got, 400) != got {
		t.Fatalf("got subject %q", got)
	}
	if _, err := testkit.ReadBody(m); err != nil {
		t.Fatalf("%v in %q", err, l.data)
	}
}
