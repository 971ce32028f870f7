package document

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
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

// Nearest returns the known word that is most similar to word, or "". Up to a third
// of the letters may be added, missing, wrong or swapped with the next one.
func Nearest(word string, known []string) string {
	const longest = 64
	if len(word) > longest {
		return ""
	}
	best, least := "", 0
	for _, k := range slices.Sorted(slices.Values(known)) {
		if len(k) > longest {
			continue
		}
		n, short := editDistance(normalizeWord(word), normalizeWord(k)), min(len(word), len(k))
		if n <= max(1, short/3) && n < short && (best == "" || n < least) {
			best, least = k, n
		}
	}
	return best
}

// normalizeWord removes differences in case and separators.
func normalizeWord(word string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(word))
}

// editDistance is the Damerau-Levenshtein distance with adjacent transpositions.
func editDistance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		now := make([]int, len(b)+1)
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
		before, last = last, now
	}
	return last[len(b)]
}

// unknownKeyHint returns a hint for an unknown key. A common mistake is a key of the
// enclosing table below the header of this one.
func (d *treeDecoder) unknownKeyHint(key string, fields map[string]reflect.Value) string {
	if d.parent != nil {
		if _, ofOuter := fieldsOf(reflect.ValueOf(d.parent))[key]; ofOuter {
			list := headerOf(d.root)
			list, _, _ = strings.Cut(list, ".")
			return fmt.Sprintf("it is a key of [[%s]]: move it directly below that header", list)
		}
	}
	return Suggest(key, slices.Sorted(maps.Keys(fields)))
}

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
