package wire

import (
	"bytes"
	"encoding/json"
)

// escaped reads the rest of a string that has escapes, from its first byte at start on.
// It reports false if one may be half of a surrogate pair.
func (r *jsonReader) escaped(start int) ([]byte, bool) {
	end := start
	for end < len(r.text) && r.text[end] != '"' {
		if r.text[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(r.text) {
		return nil, false
	}
	quoted := r.text[start-1 : end+1]
	if bytes.Contains(quoted, []byte(`\ud`)) || bytes.Contains(quoted, []byte(`\uD`)) {
		return nil, false
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return nil, false
	}
	r.pos = end + 1
	return []byte(s), true
}
