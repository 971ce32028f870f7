package setting

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/microhq/monitor-srv/safefile"
)

// mask is the text of every secret.
const mask = "<secret>"

// maxSecretFile is the largest size of a file with a secret, in bytes.
const maxSecretFile = 64 << 10

// Secret is a string that prints and marshals as "<secret>", so that it appears in no
// log, list, page, metric or error. Only Reveal returns it. The zero value is the
// empty secret.
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

// UnmarshalTOML accepts a string except "<secret>", which a listed definition contains
// in place of its secrets.
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

// AcceptsTOML reports whether v has a type that UnmarshalTOML accepts, and describes
// that type.
func (s *Secret) AcceptsTOML(v any) (expected string, ok bool) {
	_, ok = v.(string)
	return "a string", ok
}

// SecretFrom returns the secret that a document gives inline, as the name of a file or
// as the name of an environment variable. key is the key of the inline form, for
// errors. More than one form is an error, none is the empty secret. A byte order mark
// and one trailing newline of a file are removed.
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
			return Secret{}, absent{fmt.Errorf("%s_env: variable %q is not set", key, env)}
		}
		if text == "" {
			return Secret{}, absent{fmt.Errorf("%s_env: variable %q is empty", key, env)}
		}
		return NewSecret(text), nil
	}
	return inline, nil
}

func secretFile(key, file string) (Secret, error) {
	text, err := safefile.Read(file, maxSecretFile)
	if err != nil {
		return Secret{}, markAbsent(fmt.Errorf("reading %s_file: %w", key, err))
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(string(text), "\ufeff"), "\n"), "\r")
	if secret == "" { // as while it is being written
		return Secret{}, absent{fmt.Errorf("reading %s_file: %s: the file is empty", key, file)}
	}
	return NewSecret(secret), nil
}
