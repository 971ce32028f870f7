package broker

import (
	"fmt"
	"log/slog"
)

// Secret is a text that never shows itself: printed, logged or encoded it is
// "<secret>", or empty if it is empty. string(s) gives the text.
type Secret string

const hidden = "<secret>"

var (
	_ fmt.Formatter  = Secret("")
	_ slog.LogValuer = Secret("")
)

// String answers "<secret>".
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString answers "<secret>".
func (s Secret) GoString() string { return s.String() }

// Format writes "<secret>" whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText answers "<secret>"; JSON and TOML use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue answers "<secret>".
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
