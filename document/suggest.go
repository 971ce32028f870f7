package document

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// oneOf says what could have been meant by a word that is not known: the known
// one that is nearly the same, or else all of them.
func Suggest(word string, known []string) string {
	if near := Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return "known are none"
	}
	return "known are " + strings.Join(known, ", ")
}

// nearest returns the known word that a slip of the pen turns into word, or "". A
// slip is a letter too many, missing, wrong or swapped with the next, one in three
// at most.
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

// same makes words the same that differ in case and in how they are joined.
func normalizeWord(word string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(word))
}

// distance counts the slips between two words.
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

// meant says what an unknown key of a table could have been. What is written
// below the header of a table belongs to that table, which is often forgotten.
func (d *treeDecoder) unknownKeyHint(key string, fields map[string]reflect.Value) string {
	if d.parent != nil {
		if _, ofOuter := fieldsOf(reflect.ValueOf(d.parent))[key]; ofOuter {
			list := headerOf(d.root)
			list, _, _ = strings.Cut(list, ".")
			return fmt.Sprintf("it is one of [[%s]]: write it above the first header below that", list)
		}
	}
	return Suggest(key, slices.Sorted(maps.Keys(fields)))
}

// headerOf returns the name that a table of the path has in a header.
func headerOf(path string) string {
	parts := slices.DeleteFunc(strings.Split(path, "."), func(part string) bool {
		_, err := strconv.Atoi(part)
		return err == nil
	})
	return strings.Join(parts, ".")
}

// quotes says what to do where only the quotes are wrong.
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
