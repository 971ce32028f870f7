package probe

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxNumber is how many bytes a number may be written with, more than any number
// needs.
const maxNumber = 400

var errNoNumber = errors.New("is empty, want a number")

// ParseValue reads the number that a program, a page or a row shows, written in
// decimal and perhaps surrounded by spaces, as " 12.5e3\n". Everything else is an
// error: nothing, words, NaN, infinities, hexadecimal numbers, underscores, a
// comma for a point, two numbers, and what is too large for a float64. The error
// is to follow a word for the text, and does not repeat the text.
func ParseValue(text string) (float64, error) {
	text = strings.TrimSpace(text)
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

// checkFinite returns an error for what may not be a value.
func checkFinite(v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("is %v, want a finite number", v)
	}
	return nil
}
