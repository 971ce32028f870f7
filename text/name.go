package text

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// blankPattern is the empty pattern of braille. It is a symbol that shows nothing.
const blankPattern = '\u2800'

// CheckName returns what is wrong with a name or an id, and what to do about it. Names
// that look alike must be equal, because people compare them by eye: a name is in
// Unicode normal form NFC, and has no control, format or other invisible characters
// and no blanks but the space. The empty name is valid.
func CheckName(name string) error {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || c < ' ' || c == 0x7f {
			return checkUnicodeName(name)
		}
	}
	return nil
}

// ComposeName returns a name in the normal form that CheckName wants, as which
// people mean it when some keyboards and file systems write its accents apart.
func ComposeName(name string) string { return norm.NFC.String(name) }

func checkUnicodeName(name string) error {
	if !utf8.ValidString(name) {
		return errors.New("not valid UTF-8")
	}
	for _, r := range name {
		switch {
		case r == utf8.RuneError:
			return fmt.Errorf("%q contains U+FFFD, which stands for damaged text: write the character that was meant", name)
		case isInvisible(r):
			return fmt.Errorf("%q contains the unprintable character %U: remove it", name, r)
		}
	}
	if composed := ComposeName(name); composed != name {
		return fmt.Errorf("%+q is not in Unicode normal form NFC: write it as %+q", name, composed)
	}
	return nil
}

// isInvisible reports whether a character shows nothing, or looks like the space
// without being it.
func isInvisible(r rune) bool {
	return !unicode.IsPrint(r) || r == blankPattern ||
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
