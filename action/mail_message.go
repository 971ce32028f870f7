package action

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/microhq/monitor-srv/text"
)

const (
	headerIncident = "X-Monitor-Incident"

	// maxMailBody bounds the body of a mail with several notifications, in bytes.
	// Beyond it, one line for each notification replaces the user's template.
	maxMailBody = 1 << 20
	// maxHeaderIncidents bounds the incidents in the header of a mail; the body lists
	// all.
	maxHeaderIncidents = 20
)

// mailMessage is one mail and its recipients.
type mailMessage struct {
	id   string // Message-ID without brackets
	to   []*mail.Address
	data []byte
}

// messages composes the mails for ns. Recipients of the same notifications share a
// mail.
func (a *mailAction) messages(ns []Notification) ([]mailMessage, error) {
	type group struct {
		to            []*mail.Address
		notifications []Notification
	}
	groups := map[string]*group{}
	var order []string
	for _, address := range a.recipients() {
		var wanted []Notification
		key := ""
		for i, n := range ns {
			if slices.Contains(a.to[n.Event], address) {
				wanted = append(wanted, n)
				key += fmt.Sprint(i, " ")
			}
		}
		if len(wanted) == 0 {
			continue
		}
		if groups[key] == nil {
			groups[key] = &group{notifications: wanted}
			order = append(order, key)
		}
		groups[key].to = append(groups[key].to, address)
	}
	var messages []mailMessage
	for _, key := range order {
		m, err := a.message(groups[key].to, groups[key].notifications)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// recipients returns the recipients of all events, each once.
func (a *mailAction) recipients() (all []*mail.Address) {
	for _, e := range []Event{Init, Fail, Recover} {
		for _, address := range a.to[e] {
			if !slices.Contains(all, address) {
				all = append(all, address)
			}
		}
	}
	return all
}

// message composes the mail of ns to some recipients.
func (a *mailAction) message(to []*mail.Address, ns []Notification) (mailMessage, error) {
	subject, err := a.subjectOf(ns)
	if err != nil {
		return mailMessage{}, err
	}
	body, err := a.bodyOf(ns)
	if err != nil {
		return mailMessage{}, err
	}
	l := mailMessage{id: a.messageID(ns), to: to}
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(a.from)
	if !a.bcc {
		m.ToMailAddress(writableAddresses(to)...)
	}
	m.Subject(subject)
	m.SetDateWithValue(cmp.Or(ns[len(ns)-1].Time, time.Now()).UTC())
	m.SetMessageIDWithValue(l.id)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		m.SetGenHeader(gomail.Header(name), a.header[name])
	}
	if ids := incidents(ns); len(ids) > 0 && len(ids) <= maxHeaderIncidents {
		m.SetGenHeader(headerIncident, escapeEncodedWord(strings.Join(ids, " ")))
	}
	m.SetBodyString(gomail.TypeTextPlain, text.Lines(body))
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		return mailMessage{}, err
	}
	l.data = b.Bytes()
	return l, nil
}

// writableAddresses returns the addresses that every server takes, unless there is
// none: a header with another one would be refused by a server without SMTPUTF8.
func writableAddresses(to []*mail.Address) []*mail.Address {
	ascii := slices.DeleteFunc(slices.Clone(to), func(a *mail.Address) bool { return !isASCII(a.Address) })
	if len(ascii) == 0 {
		return to
	}
	return ascii
}

// incidents returns the incident ids of ns, each once, in order.
func incidents(ns []Notification) (ids []string) {
	seen := map[string]bool{}
	for _, n := range ns {
		if id := headerToken(n.Incident); id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

func (a *mailAction) subjectOf(ns []Notification) (string, error) {
	if len(ns) > 1 && !a.customSubject {
		return headerLine(fmt.Sprintf("alert: %s on %s", countSummary(ns), ns[0].Host)), nil
	}
	text, err := render(a.subject, ns[0])
	if err != nil {
		return "", fmt.Errorf("subject: %w", err)
	}
	text = headerLine(text)
	if len(ns) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(ns)-1)
	}
	return text, nil
}

// headerLine returns text as the value of a header.
func headerLine(s string) string { return escapeEncodedWord(text.Line(s, 250)) }

// escapeEncodedWord keeps mail readers from decoding text as an encoded word of RFC
// 2047.
func escapeEncodedWord(text string) string { return strings.ReplaceAll(text, "=?", "= ?") }

func (a *mailAction) bodyOf(ns []Notification) (string, error) {
	if len(ns) == 1 {
		return a.bodyOfOne(ns[0])
	}
	if a.customBody {
		var parts []string
		size := 0
		for _, n := range ns {
			text, err := a.bodyOfOne(n)
			if err != nil {
				return "", err
			}
			parts = append(parts, text)
			if size += len(text); size > maxMailBody {
				return summaryList(ns), nil
			}
		}
		return strings.Join(parts, "\n\n"), nil
	}
	return summaryList(ns), nil
}

func (a *mailAction) bodyOfOne(n Notification) (string, error) {
	text, err := render(a.body, n)
	if err != nil {
		return "", fmt.Errorf("body: %w", err)
	}
	return text, nil
}

// summaryList returns one line for each notification.
func summaryList(ns []Notification) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s\n\n", countSummary(ns), text.Line(ns[0].Host, 200))
	for _, n := range ns {
		b.WriteString(summary(n))
		b.WriteByte('\n')
	}
	return b.String()
}

// messageIDPattern matches what may be used in a Message-ID unquoted.
var messageIDPattern = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`)

// messageID returns the id of a mail of ns from this sender. It is the same for the
// same notifications in any order and at any time.
func (a *mailAction) messageID(ns []Notification) string {
	_, domain, ok := strings.Cut(a.from.Address, "@")
	if !ok || !messageIDPattern.MatchString(domain) {
		domain = "monitor-srv.invalid"
	}
	if key := ns[0].Key(); len(ns) == 1 && len(key) <= 100 && messageIDPattern.MatchString(key) {
		return key + "@" + domain
	}
	keys := make([]string, len(ns))
	for i, n := range ns {
		keys[i] = n.Key()
	}
	slices.Sort(keys)
	hash := sha256.New()
	for _, key := range keys {
		fmt.Fprintf(hash, "%q\n", key)
	}
	return hex.EncodeToString(hash.Sum(nil)[:16]) + "@" + domain
}
