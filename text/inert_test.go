package text

import (
	"strings"
	"testing"
)

// Faults: C31.
func TestInertTextsMentionNobodyAndLinkNowhere(t *testing.T) {
	for given, want := range map[string]string{ // ¦ is what breaks words
		"":                                 "",
		"no answer":                        "no answer",
		"500 @everyone @here":              "500 @¦everyone @¦here",
		"@channel @all":                    "@¦channel @¦all",
		"x@everyone":                       "x@¦everyone",
		"@@here":                           "@@¦here",
		"@**all** @_**Ada**":               "@¦**all** @¦_**Ada**",
		"<!channel> <!subteam^S1|ops>":     "<!¦channel> <!¦subteam^S1|ops>",
		"<@U012> <@!1> <@&2> <#C3>":        "<@¦U012> <@¦!1> <@¦&2> <#¦C3>",
		"<https://evil.example|log in>":    "<¦https://evil.example|log in>",
		"<mailto:a@evil.example|a>":        "<¦mailto:a@¦evil.example|a>",
		"<at>Ada</at> <users/all>":         "<¦at>Ada</at> <¦users/all>",
		"[log in](https://evil.example)":   "[log in]¦(https://evil.example)",
		"wärme @ünal":                      "wärme @¦ünal",
		"1 < 2, 3 <= 4, a @ b, [1] (2), @": "1 < 2, 3 <= 4, a @ b, [1] (2), @",
		"<b>500</b> </script>":             "<b>500</b> </script>",
		"@\xff <":                          "@\xff <",
	} {
		want = strings.ReplaceAll(want, "¦", breaker)
		wantText(t, given, Inert(given), want)
		wantText(t, want, Inert(want), want)
	}
}
