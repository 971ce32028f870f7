package action

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"

	"github.com/microhq/monitor-srv/text"
)

// message formats ns for the service.
func (a *notifyAction) message(ns []Notification) string {
	if a.escape != nil {
		return a.escape(message(ns))
	}
	return message(ns)
}

// markupOf returns how a service's markup is escaped, if its URL says that it reads
// messages as such: Telegram refuses a message that is not valid.
func markupOf(service string, u *url.URL) func(string) string {
	if service != "telegram" {
		return nil
	}
	for name, values := range u.Query() {
		if !strings.EqualFold(name, "parsemode") {
			continue
		}
		switch strings.ToLower(values[0]) {
		case "html":
			return html.EscapeString
		case "markdown":
			return func(s string) string { return markdown.ReplaceAllString(s, `\$0`) }
		case "markdownv2":
			return func(s string) string { return markdownV2.ReplaceAllString(s, `\$0`) }
		}
	}
	return nil
}

// The characters with a meaning in Telegram's two kinds of Markdown.
var (
	markdown   = regexp.MustCompile("[_*`\\[]")
	markdownV2 = regexp.MustCompile("[-_*\\[\\]()~`>#+=|{}.!\\\\]")
)

// message formats ns as one message, failures first, so that they are sent even if
// not all notifications fit. Mentions and links in it are broken up: targets say what
// they like.
func message(ns []Notification) string {
	if len(ns) == 1 {
		return fmt.Sprintf("%s (on %s)", text.Inert(summary(ns[0])), text.Line(ns[0].Host, 200))
	}
	all, listed := fmt.Sprintf("%s on %s", countSummary(ns), text.Line(ns[0].Host, 200)), 0
	for _, event := range []Event{Fail, Repeat, Recover, Init} {
		for _, n := range ns {
			if n.Event != event {
				continue
			}
			next := "\n" + text.Inert(summary(n))
			if len(all)+len(next) > maxMessage {
				return all + fmt.Sprintf("\n... and %d more", len(ns)-listed)
			}
			all += next
			listed++
		}
	}
	return all
}
