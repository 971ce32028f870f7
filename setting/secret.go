package setting

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// mask is what every secret prints as.
const mask = "<secret>"

// maxSecretFile bounds what is read of a secret's file, in bytes.
const maxSecretFile = 64 << 10

// Secret is a string that appears in no log, list, page, metric or error: it
// prints and marshals as "<secret>". Only Reveal tells it. The zero value is
// the empty secret.
type Secret struct{ text string }

// NewSecret returns a secret that reveals text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return s.text }

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.text == "" }

// String returns "<secret>", or nothing for the empty secret.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return mask
}

// GoString returns what String does.
func (s Secret) GoString() string { return s.String() }

// Format writes what String returns, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText returns what String does.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns what String does.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// UnmarshalTOML takes a string, but not the mask: a definition that was listed
// lost its secrets and must not be taken for a whole one.
func (s *Secret) UnmarshalTOML(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("%T is not a string", v)
	}
	if text == mask {
		return errors.New("a masked secret cannot be registered: give the secret itself")
	}
	s.text = text
	return nil
}

// SecretFrom returns the secret that a document gives in one of three ways:
// inline, as the name of a file or as the name of an environment variable. The
// key names the inline form in errors. Giving two ways is an error, giving none
// yields the empty secret. One trailing newline of a file is dropped.
func SecretFrom(key string, inline Secret, file, env string) (Secret, error) {
	given := 0
	for _, g := range []bool{!inline.IsZero(), file != "", env != ""} {
		if g {
			given++
		}
	}
	if given > 1 {
		return Secret{}, fmt.Errorf("give only one of %s, %s_file and %s_env", key, key, key)
	}
	switch {
	case file != "":
		return secretFile(key, file)
	case env != "":
		text, ok := os.LookupEnv(env)
		if !ok {
			return Secret{}, fmt.Errorf("%s_env: variable %q is not set", key, env)
		}
		return NewSecret(text), nil
	}
	return inline, nil
}

func secretFile(key, file string) (Secret, error) {
	f, err := os.Open(file)
	if err != nil {
		return Secret{}, fmt.Errorf("reading %s_file: %w", key, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return Secret{}, fmt.Errorf("reading %s_file: %w", key, err)
	}
	if len(text) > maxSecretFile {
		return Secret{}, fmt.Errorf("reading %s_file %q: larger than %d bytes", key, file, maxSecretFile)
	}
	return NewSecret(strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")), nil
}
