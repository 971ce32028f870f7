package health

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// truncate makes s valid UTF-8 of at most limit bytes and reports whether it changed
// s. Protobuf refuses to encode invalid UTF-8, so one bad byte in the text of an error
// would hide the error.
func truncate(s string, limit int) (string, bool) {
	if len(s) <= limit && utf8.ValidString(s) {
		return s, false
	}
	cut := len(s) > limit
	if cut {
		// Before invalid bytes are replaced, so that the cost of that is bounded.
		s = s[:limit]
	}
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if !cut && len(s) <= limit {
		return s, true
	}
	end := limit - len(CutMark)
	if end < 0 {
		return "", true
	}
	for end > 0 && end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:min(end, len(s))] + CutMark, true
}

// resultsMarkRoom is reserved for the pair that says how many results were left out.
const resultsMarkRoom = 64

// truncateResults returns a copy of in within the limits of an event, and reports
// whether it differs. The pairs with the first keys in their order stay. If pairs are
// left out, one more pair with the key CutMark says how many.
func truncateResults(in map[string]string) (map[string]string, bool) {
	if len(in) == 0 {
		return nil, false
	}
	keys := slices.Sorted(maps.Keys(in))
	leftOut := 0
	if len(keys) > MaxResults {
		leftOut = len(keys) - (MaxResults - 1)
		keys = keys[:MaxResults-1]
	}
	out := make(map[string]string, len(keys)+1)
	room, changed := MaxResultsTotal-resultsMarkRoom, false
	for _, key := range keys {
		name, cutName := truncate(key, MaxResultKey)
		_, taken := out[name]
		if taken || room < len(name)+len(CutMark) {
			leftOut++
			continue
		}
		value, cutValue := truncate(in[key], min(MaxResultValue, room-len(name)))
		out[name] = value
		room -= len(name) + len(value)
		changed = changed || cutName || cutValue
	}
	if leftOut > 0 {
		out[CutMark] = fmt.Sprintf("%d more left out", leftOut)
	}
	return out, changed || leftOut > 0
}

// validateName returns an error if a name or an id is invalid. Unlike texts they are
// not truncated, because two different ones could become equal.
func validateName(name string, limit int) error {
	switch {
	case name == "":
		return errors.New("must not be empty")
	case len(name) > limit:
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(name), limit)
	case !utf8.ValidString(name):
		return errors.New("is not valid UTF-8")
	case strings.ContainsFunc(name, isInvisible):
		return errors.New("has a control character or another invisible one")
	}
	return nil
}

// isInvisible reports whether a character shows nothing or looks like the space. The
// server rejects names with such characters, so that no two look alike.
func isInvisible(r rune) bool {
	return !unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
