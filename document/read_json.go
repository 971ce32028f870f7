package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/microhq/monitor-srv/text"
)

// maxDepth bounds the nesting of documents. A definition needs five levels.
const maxDepth = 100

// byteOrderMark is what editors of Windows put before a text.
const byteOrderMark = "\ufeff"

// LooksLikeJSON reports whether a text is a JSON object and no TOML.
func LooksLikeJSON(text string) bool {
	return strings.HasPrefix(strings.TrimSpace(strings.TrimPrefix(text, byteOrderMark)), "{")
}

// ReadJSON reads one JSON object as the tree that the same TOML would give: numbers
// without fraction and exponent are integers, null is an absent key, and a duplicate
// key is an error.
func ReadJSON(source string) (map[string]any, error) {
	if !utf8.ValidString(source) {
		return nil, errors.New("reading the JSON: not valid UTF-8")
	}
	source = strings.TrimPrefix(source, byteOrderMark)
	r := jsonReader{Decoder: json.NewDecoder(strings.NewReader(source)), source: source}
	r.UseNumber()
	v, err := r.value(0)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("reading the JSON: %w", err)
	}
	tree, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("reading the JSON: want an object, have %s", kindOf(v))
	}
	if _, err := r.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading the JSON: unexpected text after the object")
	}
	return tree, nil
}

type jsonReader struct {
	*json.Decoder
	source string
	key    string // of the value that is read
}

func (r jsonReader) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	t, err := r.token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return r.object(depth)
		}
		return r.list(depth)
	case json.Number:
		return jsonNumber(t)
	}
	return t, nil
}

// token is Token, but for a text with half of a character. Token returns U+FFFD in its
// place, and two different texts would become equal.
func (r jsonReader) token() (json.Token, error) {
	from := r.InputOffset()
	t, err := r.Token()
	if _, isText := t.(string); !isText || err != nil {
		return t, err
	}
	raw := []byte(r.source[from:r.InputOffset()])
	if i := text.HalfSurrogate(raw); i >= 0 {
		return nil, fmt.Errorf("key %q: %s is half of a surrogate pair and no character: write both halves, or the character itself", r.key, raw[i:i+text.SurrogateSize])
	}
	return t, nil
}

func (r jsonReader) object(depth int) (any, error) {
	m := make(map[string]any)
	seen := make(map[string]bool)
	for r.More() {
		t, err := r.token()
		if err != nil {
			return nil, err
		}
		key, _ := t.(string) // the json package accepts nothing else here
		if seen[key] {
			return nil, fmt.Errorf("duplicate key %q", key)
		}
		seen[key] = true
		r.key = key
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if v != nil {
			m[key] = v
		}
	}
	_, err := r.Token()
	return m, err
}

func (r jsonReader) list(depth int) (any, error) {
	l := []any{}
	for r.More() {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		l = append(l, v)
	}
	_, err := r.Token()
	return l, err
}

// jsonNumber returns an int64 or a finite float64.
func jsonNumber(n json.Number) (any, error) {
	if !strings.ContainsAny(n.String(), ".eE") {
		i, err := n.Int64()
		if err != nil {
			return nil, fmt.Errorf("%s is out of range", n)
		}
		return i, nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil, fmt.Errorf("%s is out of range", n)
	}
	return f, nil
}
