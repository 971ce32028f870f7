package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Bounds of a token file.
const (
	maxTokens     = 1000
	maxTokenBytes = 1024
	// minTokenBytes keeps out what a dictionary finds: 16 random hexadecimal digits
	// are 64 bits, out of reach of guesses over the network.
	minTokenBytes = 16
)

// Tokens are the tokens of a file, of which only SHA-256 sums are kept, and the
// failures of those who tried others. Its methods may be called at any time.
type Tokens struct {
	file     string
	failures failures

	mu     sync.RWMutex
	stored []storedToken // guarded by mu; replaced, never changed
}

// held is one token that is known.
type storedToken struct {
	sum  [sha256.Size]byte
	role Role
}

// Load reads a token file: one "role:token" a line, with the roles viewer,
// operator and admin; empty lines and lines that begin with # say nothing. A file
// that anybody but its owner may read or write is refused, unless it is root's and its
// group, of which this process has to be, may read it. So is one without a token, or
// with one of less than 16 bytes. No error tells a token.
func Load(file string) (*Tokens, error) {
	t := &Tokens{file: file}
	if err := t.Reload(); err != nil {
		return nil, err
	}
	return t, nil
}

// Reload reads the file again. If that fails, the tokens stay as they are.
func (t *Tokens) Reload() error {
	text, err := readRestricted(t.file, 0o077)
	if err != nil {
		return fmt.Errorf("reading the token file %q: %w", t.file, err)
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

// Role returns the role of a token, or None if it is not known. It takes the
// same time for every token.
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

// String tells how many tokens are held, and none of them.
func (t *Tokens) String() string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return fmt.Sprintf("%d tokens", len(t.stored))
}

func parseTokens(text string) ([]storedToken, error) {
	var all []storedToken
	known := make(map[[sha256.Size]byte]int)
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		h, err := parseToken(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if first, ok := known[h.sum]; ok {
			return nil, fmt.Errorf("line %d: the token of line %d again: give each role a token of its own", number, first)
		}
		known[h.sum] = number
		if all = append(all, h); len(all) > maxTokens {
			return nil, fmt.Errorf("line %d: more than %d tokens", number, maxTokens)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("it holds no token: give one role:token a line")
	}
	return all, nil
}

// parseToken reads "role:token". What is not a role may be a token that somebody
// forgot to give one, so it is not told.
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
		return storedToken{}, fmt.Errorf("the token is shorter than %d bytes, and could be guessed: make one by \"openssl rand -hex 32\"", minTokenBytes)
	}
	return storedToken{sha256.Sum256([]byte(token)), role}, nil
}

// checkToken refuses what a header could not carry unchanged.
func checkToken(token string) error {
	switch {
	case token == "":
		return errors.New("the token is missing")
	case len(token) > maxTokenBytes:
		return fmt.Errorf("the token is longer than %d bytes", maxTokenBytes)
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return errors.New("the token holds a blank or something else than printable ASCII")
		}
	}
	return nil
}
