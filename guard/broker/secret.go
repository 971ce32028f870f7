package broker

import (
	"fmt"
	"log/slog"
)

// Secret is a text that is printed, logged and encoded as "<secret>", or as nothing
// if it is empty. string(s) returns the text.
type Secret string

const hidden = "<secret>"

var (
	_ fmt.Formatter  = Secret("")
	_ slog.LogValuer = Secret("")
)

// String returns "<secret>".
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString returns "<secret>".
func (s Secret) GoString() string { return s.String() }

// Format writes "<secret>" whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText returns "<secret>" for JSON and TOML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns "<secret>".
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
