package document

import (
	"strings"
	"testing"
)

// What is near is suggested, what is not is not.
func TestNearestWords(t *testing.T) {
	known := []string{"args", "command", "expect_status", "to", "type", "min", "max"}
	for word, want := range map[string]string{
		"agrs": "args", "arg": "args", "Command": "command", "comand": "command", "expectStatus": "expect_status",
		"expect-status": "expect_status", "ot": "to", "typ": "type", "miin": "min", "mean": "", "x": "", "": "", "url": "",
		strings.Repeat("x", 10_000): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%.20q: got %q, want %q", word, got, want)
		}
	}
}
