package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

const (
	// maxPattern bounds a regular expression, in bytes; maxProgram bounds the
	// instructions it is compiled to: "(.?){1000}" takes ten bytes and 2,000
	// instructions.
	maxPattern = 4 << 10
	maxProgram = 5000
	// uncheckedSteps bounds a match that does not check the context, in instructions
	// times bytes. A step takes at most 4 ns, so that all of them take a tenth of a
	// second.
	uncheckedSteps = 25_000_000
	// checkEvery is the number of characters matched between two checks of the
	// context.
	checkEvery = 256
)

// pattern is a configured regular expression that is matched with text from a target.
// The time of a match grows with the size of both, so both are bounded, and a match
// ends with its context.
type pattern struct {
	re *regexp.Regexp
	// size is the number of instructions.
	size int
}

// newPattern compiles the regular expression of a key.
func newPattern(key, text string) (*pattern, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("%s: longer than %d bytes", key, maxPattern)
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if len(program.Inst) > maxProgram {
		return nil, fmt.Errorf("%s: the regular expression is too large: use smaller repetition counts", key)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return &pattern{re, len(program.Inst)}, nil
}

// optionalPattern is newPattern, or nil if text is empty.
func optionalPattern(key, text string) (*pattern, error) {
	if text == "" {
		return nil, nil
	}
	return newPattern(key, text)
}

// String returns the expression.
func (p *pattern) String() string { return p.re.String() }

// match reports whether text contains a match. Its error is the cause of the end of
// ctx.
func (p *pattern) match(ctx context.Context, text []byte) (bool, error) {
	if int64(p.size)*int64(len(text)) <= uncheckedSteps {
		return p.re.Match(text), nil
	}
	found := p.re.MatchReader(&contextReader{ctx: ctx, text: text})
	if ctx.Err() != nil {
		return false, fmt.Errorf("matching %q: %w", printable(p.String()), context.Cause(ctx))
	}
	return found, nil
}

// contextReader reads a text until a context ends.
type contextReader struct {
	ctx  context.Context
	text []byte
	read int
}

// ReadRune implements io.RuneReader.
func (r *contextReader) ReadRune() (rune, int, error) {
	if r.read++; r.read%checkEvery == 0 && r.ctx.Err() != nil || len(r.text) == 0 {
		return 0, 0, io.EOF
	}
	c, n := utf8.DecodeRune(r.text)
	r.text = r.text[n:]
	return c, n, nil
}

var _ io.RuneReader = (*contextReader)(nil)

// errNoMatch means that none of several texts matched.
var errNoMatch = errors.New("no match")

// matchAny returns nil if one of the texts matches, errNoMatch if none does, or the
// cause of the end of ctx.
func (p *pattern) matchAny(ctx context.Context, texts []string) error {
	for _, text := range texts {
		found, err := p.match(ctx, []byte(text))
		if err != nil {
			return err
		}
		if found {
			return nil
		}
	}
	return errNoMatch
}
