package ingest

import (
	"unicode/utf8"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/text"
)

// validIdentity reports whether b may be part of a key, see text.CheckName. Parts of
// keys are never repaired, because two different keys could become the same.
func validIdentity(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return text.CheckName(string(b)) == nil
		}
		if c < ' ' || c == 0x7f {
			return false
		}
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
