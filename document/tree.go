package document

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// mapTree returns a copy of a tree in which leaf has replaced each value.
func mapTree(v any, leaf func(any) any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = mapTree(e, leaf)
		}
		return m
	case []map[string]any: // a list of tables, from the TOML parser
		return mapList(v, leaf)
	case []any:
		return mapList(v, leaf)
	}
	return leaf(v)
}

func mapList[E any](list []E, leaf func(any) any) []any {
	l := make([]any, len(list))
	for i, e := range list {
		l[i] = mapTree(e, leaf)
	}
	return l
}

// plainTree converts the result of the TOML parser to a tree.
func plainTree(v any) any { return mapTree(v, func(v any) any { return v }) }

// WriteJSON returns a tree as JSON that ReadJSON reads as the same tree. It fails
// for dates and for numbers that are not finite, which no kind accepts.
func WriteJSON(tree map[string]any) ([]byte, error) { return json.Marshal(mapTree(tree, jsonLeaf)) }

// jsonLeaf returns a value whose JSON has the same type when it is read: 1.0 stays a
// float. A date becomes a value that cannot be marshalled.
func jsonLeaf(v any) any {
	switch v := v.(type) {
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(text, ".e") {
			text += ".0"
		}
		return json.Number(text)
	case time.Time:
		return json.Number("a date")
	}
	return v
}
