package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLineIsPrintableAndBounded(t *testing.T) {
	wantTexts(t, func(given string) string { return Line(given, 50) }, map[string]string{
		"a\r\nb\tc":               "a b c",
		"a\x00\x1b[31mb":          "a[31mb",
		"a\u202eb\u200fc\u2028d":  "abc d",
		"a\xffb":                  "ab",
		strings.Repeat("ü", 100):  strings.Repeat("ü", 23) + "…",
		"  many   spaces  inside": "many spaces inside",
		"":                        "",
		" a\r\n\tb  c ":           "a b c",
		"a\x00\x1b[31mb\x7f":      "a[31mb",
		"a\xff\xfeb":              "ab",
		"caf\u00e9 \u202e\u200b":  "caf\u00e9",
	})
}

// wantTexts checks what f returns for given texts.
func wantTexts(t *testing.T, f func(given string) string, want map[string]string) {
	t.Helper()
	for given, want := range want {
		wantText(t, given, f(given), want)
	}
}

func wantText(t *testing.T, given, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%q: got %q, want %q", given, got, want)
	}
}

// TestLineLooksAtTheStartOfALongText has texts that are dropped but for their end.
func TestLineLooksAtTheStartOfALongText(t *testing.T) {
	for dropped, want := range map[int]string{scanFactor*50 - 1: "x", scanFactor * 50: "…", 1 << 20: "…"} {
		wantText(t, "a long text", Line(strings.Repeat("\x00", dropped)+"x", 50), want)
	}
}

func TestLinesKeepsLines(t *testing.T) {
	if got := Lines("a\r\nb\x00\tc\u202e\xff\n"); got != "a\nb\tc\n" {
		t.Errorf("got %q", got)
	}
}

func TestClipCutsBetweenRunes(t *testing.T) {
	wantTexts(t, func(given string) string { return Clip(given, 10, "...") }, map[string]string{
		"":                "",
		"1234567890":      "1234567890",
		"1234567890a":     "1234567...",
		"123456ü890":      "123456...",
		"\xff":            Replacement,
		"\xffb\xffc\xffd": Replacement + "b" + Replacement + "...",
	})
}

func FuzzClip(f *testing.F) {
	f.Add("a\xff\xff\xffü", 7)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 3 || limit > 1000 {
			return
		}
		if got := Clip(s, limit, "..."); len(got) > limit || !utf8.ValidString(got) || utf8.ValidString(s) && len(s) <= limit && got != s {
			t.Errorf("%q clipped to %d is %q", s, limit, got)
		}
	})
}
