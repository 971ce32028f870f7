package ingest

import (
	"bytes"
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
	if !utf8.Valid(b) {
		d.repairs.add(repairUTF8)
		b = bytes.ToValidUTF8(b, []byte(text.Replacement))
	}
	if len(b) <= limit {
		return b
	}
	d.repairs.add(repairCut)
	end := limit - len(health.CutMark)
	for end > 0 && !utf8.RuneStart(b[end]) {
		end--
	}
	cut := make([]byte, 0, limit)
	return append(append(cut, b[:end]...), health.CutMark...)
}
