package action

import (
	"net/url"
	"slices"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
)

// chatHook is how to notify a chat service whose web hooks are recognized by their
// host.
type chatHook struct {
	name string
	// url is that of a notify action. Its words in capitals are parts of the web hook.
	url string
	// message is the body of an http action; empty if the service takes any form.
	message string
}

// textMessage is a message of most chat services.
const textMessage = `{"text": {{json (printf "%s %s %s" .Event .Monitor .Error)}}}`

// chatHookOf returns the chat service of a URL, or nil.
func chatHookOf(u *url.URL) *chatHook {
	host := strings.ToLower(u.Hostname())
	switch {
	case host == "hooks.slack.com", host == "hooks.slack-gov.com":
		return &chatHook{"Slack", "slack://hook:TXXXXXXXX-BXXXXXXXX-XXXXXXXX@webhook", textMessage}
	case (host == "discord.com" || host == "discordapp.com") && strings.HasPrefix(u.Path, "/api/webhooks/"):
		return &chatHook{"Discord", "discord://TOKEN@ID", `{"content": {{json (printf "%s %s %s" .Event .Monitor .Error)}}}`}
	case strings.HasSuffix(host, ".webhook.office.com"):
		return &chatHook{"Teams", "teams+https://HOST/webhookb2/...", textMessage}
	case host == "chat.googleapis.com":
		return &chatHook{"Google Chat", "googlechat://chat.googleapis.com/v1/spaces/SPACE/messages?key=KEY&token=TOKEN", textMessage}
	case host == "api.telegram.org":
		return &chatHook{"Telegram", "telegram://TOKEN@telegram?chats=CHAT", ""}
	case host == "ntfy.sh":
		return &chatHook{"ntfy", "ntfy://ntfy.sh/TOPIC", ""}
	}
	return nil
}

// isChatService reports whether a scheme is that of a service of notify actions.
func isChatService(scheme string) bool {
	service, _, _ := strings.Cut(strings.ToLower(scheme), "+")
	return slices.Contains(new(router.ServiceRouter).ListServices(), service)
}
