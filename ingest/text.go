package ingest

import (
	"unicode"
	"unicode/utf8"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/text"
)

// validIdentity reports whether b may be part of a key: valid UTF-8 without control
// characters. Parts of keys are never repaired, because two different keys could
// become the same.
func validIdentity(b []byte) bool {
	for i, c := range b {
		if c >= utf8.RuneSelf {
			return validIdentityRunes(b[i:])
		}
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

func validIdentityRunes(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if (r == utf8.RuneError && n == 1) || unicode.IsControl(r) {
			return false
		}
		b = b[n:]
	}
	return true
}

// validText reports whether a text needs no repair.
func validText(b []byte, limit int) bool { return len(b) <= limit && utf8.Valid(b) }

// repairText returns b with invalid UTF-8 replaced, and cut on a rune boundary with
// a mark to at most limit bytes.
func (d *decoder) repairText(b []byte, limit int) []byte {
	if validText(b, limit) {
		return b
	}
	if !utf8.Valid(b) {
		d.repairs.add(repairUTF8)
	}
	valid := text.Valid(string(b))
	if len(valid) > limit {
		d.repairs.add(repairCut)
	}
	return []byte(text.Clip(valid, limit, health.CutMark))
}
