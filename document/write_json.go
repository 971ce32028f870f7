package document

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// toJSON returns a tree as JSON that jsonTree reads back as the same tree. It fails
// for what JSON cannot say, a date and numbers that are not finite; no kind takes
// them.
func WriteJSON(tree map[string]any) ([]byte, error) { return json.Marshal(exact(tree)) }

// exact returns a tree that marshals to JSON which reads back as the same tree:
// a number that is not whole by type stays so. What JSON cannot say, a date and
// numbers that are not finite, makes the marshalling fail; no kind takes them.
func exact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = exact(e)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = exact(e)
		}
		return l
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
