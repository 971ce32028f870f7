package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Limits of a token file.
const (
	maxTokens     = 1000
	maxTokenBytes = 1024
	// minTokenBytes excludes passwords of dictionaries. 16 random hexadecimal digits are
	// 64 bits, too many to guess over a network.
	minTokenBytes = 16
)

// Tokens are the SHA-256 sums of the tokens of a file. Its methods may be called
// concurrently.
type Tokens struct {
	file string

	mu     sync.RWMutex
	stored []storedToken // guarded by mu; replaced, never changed
}

// storedToken is a known token.
type storedToken struct {
	sum  [sha256.Size]byte
	role Role
}

// Load reads a token file: one "role:token" per line, with the roles viewer, operator
// and admin. Empty lines and lines that start with # are ignored. It rejects a file
// that belongs to neither root nor the user of this process, or that others may
// access; a file of root may be readable by a group of this process. It also rejects a file without tokens or with a token of less
// than 16 bytes. No error contains a token.
func Load(file string) (*Tokens, error) {
	t := &Tokens{file: file}
	if err := t.Reload(); err != nil {
		return nil, err
	}
	return t, nil
}

// Reload reads the file again. If that fails, the old tokens stay valid.
func (t *Tokens) Reload() error {
	text, err := readTrusted("the token file", t.file, 0o077)
	if err != nil {
		return err
	}
	all, err := parseTokens(text)
	if err != nil {
		return fmt.Errorf("reading the token file %q: %w", t.file, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stored = all
	return nil
}

// Role returns the role of a token, or None if it is unknown. It takes the same time
// for every token.
func (t *Tokens) Role(token string) Role {
	t.mu.RLock()
	all := t.stored
	t.mu.RUnlock()
	sum := sha256.Sum256([]byte(token))
	role := int(None)
	for _, h := range all {
		same := subtle.ConstantTimeCompare(sum[:], h.sum[:])
		role = subtle.ConstantTimeSelect(same, int(h.role), role)
	}
	return Role(role)
}

// String returns the number of tokens.
func (t *Tokens) String() string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return fmt.Sprintf("%d tokens", len(t.stored))
}

func parseTokens(text string) ([]storedToken, error) {
	var all []storedToken
	known := make(map[[sha256.Size]byte]int)
	for number, line := range lines(text) {
		h, err := parseToken(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if first, ok := known[h.sum]; ok {
			return nil, fmt.Errorf("line %d: same token as in line %d: give each role a different token", number, first)
		}
		known[h.sum] = number
		if all = append(all, h); len(all) > maxTokens {
			return nil, fmt.Errorf("line %d: more than %d tokens", number, maxTokens)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("it contains no token: give one role:token per line")
	}
	return all, nil
}

// parseToken reads "role:token". Its errors do not quote an invalid role, which may be
// a token without a role.
func parseToken(line string) (storedToken, error) {
	name, token, ok := strings.Cut(line, ":")
	role := roleNamed(strings.TrimSpace(name))
	if !ok || role == None {
		return storedToken{}, errors.New("want role:token, where role is viewer, operator or admin")
	}
	token = strings.TrimSpace(token)
	if err := checkToken(token); err != nil {
		return storedToken{}, err
	}
	if len(token) < minTokenBytes {
		return storedToken{}, fmt.Errorf("the token is shorter than %d bytes and could be guessed: create one with \"openssl rand -hex 32\"", minTokenBytes)
	}
	return storedToken{sha256.Sum256([]byte(token)), role}, nil
}

// checkToken rejects tokens that a header cannot carry unchanged.
func checkToken(token string) error {
	switch {
	case token == "":
		return errors.New("the token is missing")
	case len(token) > maxTokenBytes:
		return fmt.Errorf("the token is longer than %d bytes", maxTokenBytes)
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return errors.New("the token contains a space or a character that is not printable ASCII")
		}
	}
	return nil
}
