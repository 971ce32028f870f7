package probe

import (
	"errors"
	"fmt"
	"strconv"
)

// number converts a value of the driver to a number. kind is the column's type in the
// words of the database; empty if it is not known.
func number(cell any, kind string) (float64, error) {
	switch c := cell.(type) {
	case nil:
		return 0, errors.New("the query returned NULL, want a number")
	case int64:
		return float64(c), nil
	case uint64:
		return float64(c), nil
	case float32:
		return number(float64(c), kind)
	case float64:
		if err := checkFinite(c); err != nil {
			return 0, fmt.Errorf("the answer %w", err)
		}
		return c, nil
	case bool:
		if c {
			return 1, nil
		}
		return 0, nil
	case []byte:
		if kind == "BIT" {
			return bits(c)
		}
		return number(string(c), kind)
	case string:
		if kind == "BIT" || kind == "VARBIT" {
			return digits(c)
		}
		v, err := ParseValue(c)
		if err != nil {
			return 0, fmt.Errorf("the answer%s %w: %.40q", ofType(kind), err, printable(c))
		}
		return v, nil
	}
	return 0, fmt.Errorf("the answer%s is %.40q, want a number", ofType(kind), printable(fmt.Sprint(cell)))
}

// ofType names a type that people do not expect.
func ofType(kind string) string {
	switch kind {
	case "", "CHAR", "VARCHAR", "TEXT", "BPCHAR", "UNKNOWN":
		return ""
	}
	return " of type " + printable(kind)
}

// bits converts a BIT column of MySQL, which is sent as big-endian bytes, at most 8 of
// them.
func bits(b []byte) (float64, error) {
	if len(b) == 0 || len(b) > 8 {
		return 0, fmt.Errorf("the answer of type BIT has %d bytes, want 1 to 8", len(b))
	}
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return float64(n), nil
}

// digits converts a BIT column of PostgreSQL, which is sent as binary digits.
func digits(s string) (float64, error) {
	n, err := strconv.ParseUint(s, 2, 64)
	if err != nil {
		return 0, fmt.Errorf("the answer of type BIT has %d digits, want 1 to 64", len(s))
	}
	return float64(n), nil
}
