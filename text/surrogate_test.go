package text

import "testing"

// Faults: S13.
func TestHalfSurrogatesAreFound(t *testing.T) {
	for json, want := range map[string]int{
		``: -1, `\`: -1, `\u`: -1, `\ud83`: -1, `\ud83g`: -1, `plain`: -1, `\u0041`: -1,
		`\ud83d\ude00`: -1, `x\ud83d`: 1, `\uDE00 cut`: 0, `\ud83d\ud83d\ude00`: 0, `\ud83d\\ude00`: 0,
		`\\ud83d`: -1, `\\\\ud83d`: -1, `\\\ud83d`: 2, `\ud83d\ude00\ude00`: 12, `\n\t\ud83d\u0041`: 4,
	} {
		if got := HalfSurrogate([]byte(json)); got != want {
			t.Errorf("%s: got %d, want %d", json, got, want)
		}
	}
}
