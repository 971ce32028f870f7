package document

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Suggest returns a hint for an unknown word: a similar known word, or else all known
// words.
func Suggest(word string, known []string) string {
	if near := Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return "known are none"
	}
	return "known are " + strings.Join(known, ", ")
}

// Words longer than longestWord are not compared, nor are lists of more than mostKnown.
const (
	longestWord = 64
	mostKnown   = 1000
)

// Nearest returns the known word that is most similar to word, or "". Up to a third
// of the letters may be added, missing, wrong or swapped with the next one.
func Nearest(word string, known []string) string {
	if len(word) > longestWord || len(known) > mostKnown {
		return ""
	}
	best, least := "", 0
	normal := normalizeWord(word)
	for _, k := range known {
		if len(k) > longestWord {
			continue
		}
		short := min(len(word), len(k))
		n, ok := editDistance(normal, normalizeWord(k), min(max(1, short/3), short-1))
		if ok && (best == "" || n < least || n == least && k < best) {
			best, least = k, n
		}
	}
	return best
}

// normalizeWord removes differences in case and separators.
func normalizeWord(word string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' {
			return -1
		}
		return unicode.ToLower(r)
	}, word)
}

// editDistance returns the optimal string alignment distance, which counts two
// adjacent swapped letters as one, and whether it is at most the limit.
func editDistance(a, b string, limit int) (int, bool) {
	if max(len(a)-len(b), len(b)-len(a)) > limit {
		return 0, false // at least the difference of the lengths
	}
	before, last, now := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		now[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			now[j+1] = min(last[j]+cost, last[j+1]+1, now[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				now[j+1] = min(now[j+1], before[j-1]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)], last[len(b)] <= limit
}

// hintedError is an error with a hint. The hint is computed when the error is shown,
// because only the first problems of a document are.
type hintedError struct {
	text string
	hint func() string
}

func (e *hintedError) Error() string { return e.text + "; " + e.hint() }

// unknownKey returns the error of an unknown key of the table at path. A common mistake
// is a key of the enclosing table below the header of this one: parent is a struct with
// the keys of that, or nil.
func unknownKey(key, path string, parent any, known func() []string) error {
	return &hintedError{"unknown key", func() string {
		if parent != nil && slices.Contains(keysOf(reflect.TypeOf(parent)), key) {
			list, _, _ := strings.Cut(headerOf(path), ".")
			return fmt.Sprintf("it is a key of [[%s]]: move it directly below that header", list)
		}
		return Suggest(key, known())
	}}
}

// keysOf returns the keys of a struct, sorted.
func keysOf(t reflect.Type) []string { return slices.Sorted(maps.Keys(fieldsOf(reflect.Zero(t)))) }

// headerOf returns the header name of the table at a path.
func headerOf(path string) string {
	parts := slices.DeleteFunc(strings.Split(path, "."), func(part string) bool {
		_, err := strconv.Atoi(part)
		return err == nil
	})
	return strings.Join(parts, ".")
}

// quoteHint returns a hint if only the quotes of a value are wrong.
func quoteHint(v reflect.Value, tree any) string {
	text, isText := tree.(string)
	_, notNumber := strconv.ParseFloat(text, 64)
	switch {
	case isText && notNumber == nil && (v.CanInt() || v.CanFloat()), (text == "true" || text == "false") && v.Kind() == reflect.Bool:
		return ": write it without quotes"
	case !isText && v.Kind() == reflect.String && reflect.ValueOf(tree).Comparable() && kindOf(tree) != "a date":
		return ": write it in quotes"
	}
	return ""
}
