package text

import "regexp"

// breaker is a character that is not seen and ends the word of a mention or a link.
const breaker = "\u200b"

// live matches what chat services turn into a mention or a link, up to where breaker
// ends it: @everyone, <!channel>, <@U01>, <#C01>, <https://x|text>, <at>, <users/all>,
// [text](https://x).
var live = regexp.MustCompile(`(<[!@#]|@+)([\pL\pN_*|&!])|(<)([A-Za-z][A-Za-z0-9+.-]*:|at>|users/)|(\])(\()`)

// Inert returns s so that no chat service finds a mention, or a link with a text of
// its own, in it. It reads the same. Clean s first: Line and Lines drop what Inert adds.
func Inert(s string) string {
	return live.ReplaceAllString(s, "$1$3$5"+breaker+"$2$4$6")
}
