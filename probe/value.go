package probe

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxNumber bounds the length of a number, in bytes.
const maxNumber = 400

var errNoNumber = errors.New("is empty, want a number")

// ParseValue parses a number in decimal notation, which may be surrounded by spaces,
// such as " 12.5e3\n", and begin with a byte order mark. Everything else is an error:
// an empty text, words, NaN, infinities, hexadecimal numbers, underscores, a decimal
// comma, two numbers, and numbers out of the range of float64. The error completes a
// sentence whose subject is the text, and does not contain the text.
func ParseValue(text string) (float64, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if text == "" {
		return 0, errNoNumber
	}
	if len(text) > maxNumber {
		return 0, fmt.Errorf("is %d bytes long, want a number", len(text))
	}
	for _, r := range text {
		if !strings.ContainsRune("0123456789+-.eE", r) {
			return 0, errors.New("is not a decimal number")
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errors.New("is too large a number")
	case err != nil:
		return 0, errors.New("is not a decimal number")
	case v == 0:
		return 0, nil // never the negative zero
	}
	return v, checkFinite(v)
}

// checkFinite returns an error for NaN and infinities.
func checkFinite(v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("is %v, want a finite number", v)
	}
	return nil
}
