package text

import (
	"strings"
	"testing"
)

// Faults: S13.
func TestNamesThatLookAlikeOrHideCharactersAreRefused(t *testing.T) {
	for name, want := range map[string]string{
		"shop":                 "",
		"":                     "",
		"a b":                  "",
		"caf\u00e9":            "",
		"\u65e5\u672c\u8a9e":   "",
		"\u26a0 disk":          "",
		"\U0001f600":           "",
		"\u0e19\u0e49\u0e33":   "", // combining marks of Thai
		"cafe\u0301":           `"cafe\u0301" is not in Unicode normal form NFC: write it as "caf\u00e9"`,
		"\u212b":               `write it as "\u00c5"`, // the sign of the unit
		"\u2126":               `write it as "\u03a9"`,
		"\u1112\u1161\u11ab":   `write it as "\ud55c"`,
		"\uf900":               `write it as "\u8c48"`, // a compatibility ideograph
		"a\u0323\u0307":        `write it as "\u1ea1\u0307"`,
		"a\u0307\u0323":        `write it as "\u1ea1\u0307"`, // marks in another order
		"right\u202eleft":      "U+202E: remove it",
		"zero\u200bwidth":      "U+200B",
		"joiner\u200d":         "U+200D",
		"line\u2028":           "U+2028",
		"\ufeffmark":           "U+FEFF",
		"soft\u00adhyphen":     "U+00AD",
		"no\u00a0break":        "U+00A0",
		"wide\u3000":           "U+3000",
		"filler\u3164":         "U+3164",
		"filler\u115f":         "U+115F",
		"half\uffa0":           "U+FFA0",
		"joiner\u034f":         "U+034F",
		"emoji\ufe0f":          "U+FE0F",
		"\u180e":               "U+180E",
		"\u2800":               "U+2800",
		"tag\U000e0041":        "U+E0041",
		"selector\U000e0100":   "U+E0100",
		"isolate\u2066":        "U+2066",
		"note\ufff9":           "U+FFF9",
		"a\x00b":               "U+0000",
		"a\tb":                 "U+0009",
		"a\x7f":                "U+007F",
		"next\u0085":           "U+0085",
		"private\ue000":        "U+E000",
		"damaged\ufffd":        "U+FFFD, which stands for damaged text",
		"half a pair\xed\xa0":  "not valid UTF-8",
		"\xff":                 "not valid UTF-8",
		"long \xc0\xaf":        "not valid UTF-8",
		strings.Repeat("é", 9): "",
	} {
		err := CheckName(name)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%+q: got %v, want %q", name, err, want)
		}
	}
}

func TestCheckingAnASCIINameAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _ = CheckName("go.micro.srv.user") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
