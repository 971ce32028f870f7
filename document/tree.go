package document

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// plainTree converts the result of the TOML parser to a tree, in place.
func plainTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, e := range v {
			v[key] = plainTree(e)
		}
	case []any:
		for i, e := range v {
			v[i] = plainTree(e)
		}
	case []map[string]any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = plainTree(e)
		}
		return list
	}
	return v
}

// WriteJSON returns a tree as JSON that ReadJSON reads as the same tree. It fails
// for dates and for numbers that are not finite, which no kind accepts.
func WriteJSON(tree map[string]any) ([]byte, error) { return json.Marshal(jsonTree(tree)) }

// jsonTree returns a copy of a tree whose JSON has the same types when it is read: 1.0
// stays a float. A date becomes a value that cannot be marshalled.
func jsonTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, e := range v {
			m[key] = jsonTree(e)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = jsonTree(e)
		}
		return list
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
