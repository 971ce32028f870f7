package action

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// scriptedServer is a mail server that answers what a test says, and well otherwise.
type scriptedServer struct {
	Addr string
	// replies are those to a command, such as "EHLO", in order; the last one repeats.
	// "greeting" and "." are commands, and so are the answers to challenges, "answer".
	replies map[string][]string

	mu    sync.Mutex // guards all following fields
	said  []string   // what clients said, without contents
	mails []string
}

func newScriptedServer(t *testing.T, replies map[string][]string) *scriptedServer {
	s := &scriptedServer{replies: replies}
	s.Addr = testkit.ServeConns(t, s.serve)
	return s
}

func (s *scriptedServer) serve(c net.Conn) {
	asked := map[string]int{}
	say := func(command, usual string) bool {
		text := usual
		if all := s.replies[command]; len(all) > 0 {
			text = all[min(asked[command], len(all)-1)]
		}
		asked[command]++
		_, err := io.WriteString(c, text+"\r\n")
		return err == nil && !strings.HasPrefix(text, "421")
	}
	r := bufio.NewReader(c)
	for ok := say("greeting", "220 scripted.example"); ok; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		s.mu.Lock()
		s.said = append(s.said, line)
		s.mu.Unlock()
		switch command, _, _ := strings.Cut(strings.ToUpper(line), " "); command {
		case "EHLO":
			ok = say(command, "250 scripted.example")
		case "HELO", "MAIL", "RCPT", "RSET":
			ok = say(command, "250 fine")
		case "AUTH":
			ok = say(command, "235 in")
		case "QUIT":
			say(command, "221 bye")
			return
		case "DATA":
			ok = say(command, "354 go")
			if all := s.replies["DATA"]; ok && len(all) == 0 {
				ok = s.content(r) && say(".", "250 taken")
			}
		default:
			ok = say("answer", "235 in")
		}
	}
}

func (s *scriptedServer) content(r *bufio.Reader) bool {
	mail, err := testkit.ReadMailContent(r)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, mail)
	return true
}

// heard returns what clients said that begins with a prefix.
func (s *scriptedServer) heard(prefix string) (lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.said {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, line)
		}
	}
	return lines
}

const (
	mailTo    = "to = [\"a@example.org\"]\n"
	mailLogin = mailTo + "user = \"user\"\npassword = \"s3cret-password\"\n"
)

// Results of an attempt, by what delivery does next.
const (
	sent    = "sent"
	again   = "tried again"
	away    = "tried again like a server that is away"
	givenUp = "given up"
)

func resultOf(err error) string {
	switch {
	case err == nil:
		return sent
	case errors.As(err, new(*Permanent)):
		return givenUp
	case errors.As(err, new(*Unreachable)):
		return away
	}
	return again
}

// Faults: C14, C15, C17, C18.
func TestMailServersThatAnswerOddly(t *testing.T) {
	type replies = map[string][]string
	ehlo := func(lines ...string) []string {
		return []string{"250-scripted.example\r\n250-" + strings.Join(lines, "\r\n250-") + "\r\n250 HELP"}
	}
	for name, c := range map[string]struct {
		replies replies
		keys    string
		result  string
		want    string // in the error, or said by the client
	}{
		"well":                         {replies{}, mailTo, sent, "MAIL FROM:<monitor@example.org>"},
		"greeting of several lines":    {replies{"greeting": {"220-welcome\r\n220-to\r\n220 us"}}, mailTo, sent, "QUIT"},
		"greeting without a text":      {replies{"greeting": {"220"}}, mailTo, sent, "QUIT"},
		"replies without a text":       {replies{"MAIL": {"250"}, "RCPT": {"250"}, ".": {"250"}}, mailTo, sent, "QUIT"},
		"replies of several lines":     {replies{"MAIL": {"250-a\r\n250-\r\n250 b"}, "RCPT": {"250-x\r\n250"}}, mailTo, sent, "QUIT"},
		"251 to a recipient":           {replies{"RCPT": {"251 forwarded"}}, mailTo, sent, "QUIT"},
		"252 to a recipient":           {replies{"RCPT": {"252 perhaps"}}, mailTo, sent, "QUIT"},
		"greeting 554":                 {replies{"greeting": {"554 5.3.2 too busy"}}, mailTo, away, "the server refused the session: greeting: 554 5.3.2 too busy"},
		"greeting 421":                 {replies{"greeting": {"421 4.3.2 closing"}}, mailTo, away, "the server refused the session: greeting: 421"},
		"greeting 450":                 {replies{"greeting": {"450 4.7.1 slow down"}}, mailTo, away, "the server refused the session: greeting: 450"},
		"greeting 521":                 {replies{"greeting": {"521 no mail here"}}, mailTo, away, "greeting: 521"},
		"greeting of another protocol": {replies{"greeting": {"SSH-2.0-OpenSSH_9.6"}}, mailTo, again, `the server sent "SSH-2.0-OpenSSH_9.6", which is no reply of SMTP`},
		"greeting of HTTP":             {replies{"greeting": {"HTTP/1.1 400 Bad Request"}}, mailTo, again, "which is no reply of SMTP"},
		"greeting 354":                 {replies{"greeting": {"354 go"}}, mailTo, away, "greeting: 354"},
		"code 999":                     {replies{"greeting": {"999 what"}}, mailTo, again, "which is no reply of SMTP"},
		"EHLO unknown":                 {replies{"EHLO": {"502 5.5.1 unknown"}}, mailTo, sent, "HELO ["},
		"EHLO and HELO refused":        {replies{"EHLO": {"504 5.5.2 no"}, "HELO": {"504 5.5.2 no"}}, mailTo, away, "EHLO: 504 5.5.2 no, and HELO: 504 5.5.2 no"},
		"EHLO 421":                     {replies{"EHLO": {"421 busy"}}, mailTo, away, "EHLO: 421 busy"},
		"STARTTLS refused":             {replies{"EHLO": ehlo("starttls"), "answer": {"454 4.7.0 not now"}}, mailTo, away, "STARTTLS: 454 4.7.0 not now"},
		"STARTTLS refused for good":    {replies{"EHLO": ehlo("StartTLS"), "answer": {"502 5.5.1 no"}}, mailTo, away, "STARTTLS: 502 5.5.1 no"},
		"more than the STARTTLS reply": {replies{"EHLO": ehlo("STARTTLS"), "answer": {"220 go\r\n250 injected"}}, mailTo, again, "the server sent more than its reply, unencrypted"},
		"login in lower case":          {replies{"EHLO": ehlo("auth login plain")}, mailLogin, sent, "AUTH PLAIN AHVzZXIAczNjcmV0LXBhc3N3b3Jk"},
		"login by AUTH=":               {replies{"EHLO": ehlo("AUTH=LOGIN PLAIN")}, mailLogin, sent, "AUTH PLAIN AHVzZXIAczNjcmV0LXBhc3N3b3Jk"},
		"login by both spellings":      {replies{"EHLO": ehlo("AUTH GSSAPI", "AUTH=PLAIN")}, mailLogin, sent, "AUTH PLAIN AHVzZXIAczNjcmV0LXBhc3N3b3Jk"},
		"PLAIN asks first":             {replies{"EHLO": ehlo("AUTH PLAIN"), "AUTH": {"334 "}}, mailLogin, sent, "AHVzZXIAczNjcmV0LXBhc3N3b3Jk"},
		"LOGIN":                        {replies{"EHLO": ehlo("AUTH LOGIN"), "AUTH": {"334 VXNlcm5hbWU6"}, "answer": {"334 UGFzc3dvcmQ6", "235 in"}}, mailLogin, sent, "czNjcmV0LXBhc3N3b3Jk"},
		"LOGIN asks in clear text":     {replies{"EHLO": ehlo("AUTH LOGIN"), "AUTH": {"334 Username:"}, "answer": {"334 Password:", "235 in"}}, mailLogin, sent, "czNjcmV0LXBhc3N3b3Jk"},
		"LOGIN asks without end":       {replies{"EHLO": ehlo("AUTH LOGIN"), "AUTH": {"334 VXNlcm5hbWU6"}, "answer": {"334 more"}}, mailLogin, again, "logging in by LOGIN"},
		"CRAM-MD5":                     {replies{"EHLO": ehlo("AUTH cram-md5"), "AUTH": {"334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2U+"}}, mailLogin, sent, "AUTH CRAM-MD5"},
		"one mechanism is off":         {replies{"EHLO": ehlo("AUTH PLAIN LOGIN"), "AUTH": {"504 5.7.4 not PLAIN", "334 VXNlcm5hbWU6"}, "answer": {"334 UGFzc3dvcmQ6", "235 in"}}, mailLogin, sent, "AUTH LOGIN"},
		"login refused":                {replies{"EHLO": ehlo("AUTH PLAIN"), "AUTH": {"535 5.7.8 wrong"}}, mailLogin, again, "the server refused the session: logging in by PLAIN: AUTH PLAIN: 535 5.7.8 wrong"},
		"login not possible now":       {replies{"EHLO": ehlo("AUTH PLAIN"), "AUTH": {"454 4.7.0 later"}}, mailLogin, away, "AUTH PLAIN: 454 4.7.0 later"},
		"no login offered":             {replies{"EHLO": ehlo("SIZE 1000")}, mailLogin, again, "user is set, but the server offers no login: remove user and "},
		"unknown login offered":        {replies{"EHLO": ehlo("AUTH XOAUTH2 GSSAPI")}, mailLogin, again, "the server offers no supported authentication: XOAUTH2 GSSAPI"},
		"login needed at MAIL":         {replies{"MAIL": {"530 5.7.0 authentication required"}}, mailTo, again, "the server refused the session: MAIL: 530"},
		"client refused at RCPT":       {replies{"RCPT": {"554 5.7.1 <unknown[192.0.2.1]>: Client host rejected"}}, mailTo, again, "the server refused the session: RCPT: 554 5.7.1"},
		"name refused at RCPT":         {replies{"RCPT": {"504 5.5.2 <x>: Helo command rejected: need fully-qualified hostname"}}, mailTo, again, "the server refused the session: RCPT: 504"},
		"421 at MAIL":                  {replies{"MAIL": {"421 4.3.2 closing"}}, mailTo, away, "the server ended the session: MAIL: 421"},
		"421 at DATA":                  {replies{"DATA": {"421 4.3.2 closing"}}, mailTo, away, "the server ended the session: DATA: 421"},
		"421 after the content":        {replies{".": {"421 4.3.2 closing"}}, mailTo, again, "content: 421"},
		"recipient unknown":            {replies{"RCPT": {"550 5.1.1 no such user"}}, mailTo, givenUp, "recipient a@example.org: the server refused the mail: RCPT: 550 5.1.1 no such user"},
		"recipient unknown, old style": {replies{"RCPT": {"550 no such user"}}, mailTo, givenUp, "the server refused the mail: RCPT: 550"},
		"mailbox full for good":        {replies{"RCPT": {"552 5.2.2 full"}}, mailTo, givenUp, "the server refused the mail"},
		"recipient refused later":      {replies{"RCPT": {"450 4.2.0 grey"}}, mailTo, again, "RCPT: 450"},
		"sender refused":               {replies{"MAIL": {"553 5.1.8 bad sender"}}, mailTo, givenUp, "the server refused the mail: MAIL: 553"},
		"mail too large":               {replies{"MAIL": {"552 5.3.4 too big"}}, mailTo, givenUp, "the server refused the mail: MAIL: 552"},
		"no valid recipients at DATA":  {replies{"DATA": {"554 5.5.1 no valid recipients"}}, mailTo, givenUp, "the server refused the mail: DATA: 554"},
		"content refused":              {replies{".": {"554 5.7.1 looks like spam"}}, mailTo, givenUp, "the server refused the mail: content: 554"},
		"system full after content":    {replies{".": {"452 4.3.1 full"}}, mailTo, again, "content: 452"},
		"other code after content":     {replies{".": {"354 more"}}, mailTo, again, "content: 354"},
		"reply with control bytes":     {replies{"RCPT": {"550 5.1.1 \x1b[31mno\x00 user\u202e"}}, mailTo, givenUp, "550 5.1.1 [31mno user"},
		"reply that echoes a password": {replies{"EHLO": ehlo("AUTH PLAIN"), "AUTH": {"535 wrong: s3cret-password"}}, mailLogin, again, "535 wrong: <secret>"},

		"helo":                       {replies{}, mailTo + "helo = \"monitor.example.org\"", sent, "EHLO monitor.example.org"},
		"helo in Unicode":            {replies{}, mailTo + "helo = \"monitor.bücher.example\"", sent, "EHLO monitor.xn--bcher-kva.example"},
		"helo that is an address":    {replies{}, mailTo + "helo = \"[192.0.2.7]\"", sent, "EHLO [192.0.2.7]"},
		"no full name":               {replies{}, mailTo, sent, "EHLO [127.0.0.1]"},
		"international domain":       {replies{}, "to = [\"ops@bücher.example\"]", sent, "RCPT TO:<ops@xn--bcher-kva.example>"},
		"international sender":       {replies{}, "to = [\"a@example.org\"]\nfrom = \"m@Bücher.example\"", sent, "MAIL FROM:<m@xn--bcher-kva.example>"},
		"local part, SMTPUTF8":       {replies{"EHLO": ehlo("smtputf8")}, "to = [\"jörg@bücher.example\"]", sent, "MAIL FROM:<monitor@example.org> SMTPUTF8"},
		"local part, no SMTPUTF8":    {replies{}, "to = [\"jörg@example.org\"]", again, "recipient jörg@example.org: the part before the @ is not ASCII, and the server does not offer SMTPUTF8"},
		"local part of the sender":   {replies{}, "to = [\"a@example.org\"]\nfrom = \"jörg@example.org\"", again, "sender jörg@example.org: the part before the @ is not ASCII"},
		"SMTPUTF8 that nobody needs": {replies{"EHLO": ehlo("SMTPUTF8")}, mailTo, sent, "MAIL FROM:<monitor@example.org>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScriptedServer(t, c.replies)
			keys := testkit.MailKeys(s.Addr, c.keys)
			if strings.Contains(c.keys, "from = ") {
				keys = fmt.Sprintf("server = %q\n%s", s.Addr, c.keys)
			}
			err := build(t, "mail", keys).Notify(t.Context(), []Notification{testFail})
			if got := resultOf(err); got != c.result {
				t.Fatalf("it is %s, want %s: %v", got, c.result, err)
			}
			if err != nil {
				if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			s.mu.Lock()
			mails := slices.Clone(s.mails)
			s.mu.Unlock()
			lines := s.heard(c.want)
			if len(mails) != 1 || len(lines) != 1 || strings.HasPrefix(c.want, "MAIL") && lines[0] != c.want {
				t.Errorf("%d mails, and the client said %q, want %q", len(mails), s.heard(""), c.want)
			}
		})
	}
}

// A recipient that a server without SMTPUTF8 cannot take is named in the log. The
// others get the mail, in whose header the address is left out.
// Faults: C17.
func TestMailGoesToThoseWhoseAddressTheServerTakes(t *testing.T) {
	s := newScriptedServer(t, nil)
	a, log := buildMailWithLog(t, s.Addr, `to = ["jörg@example.org", "Bücher <a@bücher.example>"]`)
	sendAll(t, a, testFail)
	if len(s.mails) != 1 || !isASCII(s.mails[0]) || !strings.Contains(s.mails[0], "To: =?utf-8?q?B=C3=BCcher?= <a@xn--bcher-kva.example>\r\n") || len(s.heard("RCPT")) != 1 {
		t.Errorf("the client said %q, and sent\n%s", s.heard(""), s.mails)
	}
	if !strings.Contains(log.String(), "recipient jörg@example.org: the part before the @ is not ASCII") {
		t.Errorf("the other one is not in the log:\n%s", log)
	}
}

// Faults: C17.
func TestPartBeforeTheAtIsQuoted(t *testing.T) {
	s := newScriptedServer(t, nil)
	sendAll(t, build(t, "mail", testkit.MailKeys(s.Addr, `to = ['"on call"@example.org']`)), testFail)
	if heard := s.heard("RCPT"); len(heard) != 1 || heard[0] != `RCPT TO:<"on call"@example.org>` {
		t.Errorf("the client said %q", heard)
	}
}

// A server that accepted a recipient takes mail from us: a refusal by policy is then
// about the other recipient, and must not be repeated for a day.
// Faults: C14.
func TestPolicyAgainstOneOfTwoRecipientsIsFinal(t *testing.T) {
	s := newScriptedServer(t, map[string][]string{"RCPT": {"250 fine", "550 5.7.133 members only"}})
	sendAll(t, build(t, "mail", testkit.MailKeys(s.Addr, `to = ["a@example.org", "b@example.org"]`)), testFail)
	if len(s.mails) != 1 {
		t.Errorf("%d mails, want one", len(s.mails))
	}
}

// Faults: C15.
func TestFullNameOfAHostIsFound(t *testing.T) {
	for host, want := range map[string]string{
		"monitor.example.org": "monitor.example.org", "monitor.example.org.": "monitor.example.org",
		"monitor": "", "": "", "a b.c": "", "host_1.example.org": "",
	} {
		if got := fullName(t.Context(), nil, host); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
	}
	resolver := newResolver(t,
		"monitor. IN A 192.0.2.1", "1.2.0.192.in-addr.arpa. IN PTR monitor.example.org.",
		"other. IN A 192.0.2.2", "2.2.0.192.in-addr.arpa. IN PTR nat.example.net.",
	)
	if got := fullName(t.Context(), resolver, "monitor"); got != "monitor.example.org" {
		t.Errorf("got %q", got)
	}
	if got := fullName(t.Context(), resolver, "other"); got != "" {
		t.Errorf("got %q, which is the name of another host", got)
	}
}

// newResolver returns a resolver that asks a server with some records.
func newResolver(t *testing.T, records ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		for _, text := range records {
			if rr, _ := dns.NewRR(text); rr.Header().Name == q.Question[0].Name && rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		_ = w.WriteMsg(m)
	})}
	started, done := make(chan struct{}), make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { defer close(done); _ = server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = server.Shutdown(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}
