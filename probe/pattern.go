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
	// maxPattern bounds a regular expression, in bytes, and maxProgram what it is
	// compiled to, in instructions: "(.?){1000}" makes 2,000 of ten bytes.
	maxPattern = 4 << 10
	maxProgram = 5000
	// quickSteps is how many steps of a match are made without looking at the
	// time. One is an instruction on a byte and takes 4 ns at worst, so that these
	// take a tenth of a second.
	quickSteps = 25_000_000
	// patience is how many characters are matched between two looks at the time.
	patience = 256
)

// pattern is a regular expression that an author gives and a target is matched
// with. The time of a match grows with the size of both, so both are bounded, and
// a match ends with its context.
type pattern struct {
	re *regexp.Regexp
	// size is that of the program.
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
		return nil, fmt.Errorf("%s: too large a regular expression: give lower numbers of repetitions", key)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return &pattern{re, len(program.Inst)}, nil
}

// String returns the expression.
func (p *pattern) String() string { return p.re.String() }

// match reports whether something in the text matches, or why ctx is done.
func (p *pattern) match(ctx context.Context, text []byte) (bool, error) {
	if int64(p.size)*int64(len(text)) <= quickSteps {
		return p.re.Match(text), nil
	}
	found := p.re.MatchReader(&patientReader{ctx: ctx, text: text})
	if ctx.Err() != nil {
		return false, fmt.Errorf("matching %q: %w", printable(p.String()), context.Cause(ctx))
	}
	return found, nil
}

// patientReader reads a text until a context is done.
type patientReader struct {
	ctx  context.Context
	text []byte
	read int
}

// ReadRune implements io.RuneReader.
func (r *patientReader) ReadRune() (rune, int, error) {
	if r.read++; r.read%patience == 0 && r.ctx.Err() != nil || len(r.text) == 0 {
		return 0, 0, io.EOF
	}
	c, n := utf8.DecodeRune(r.text)
	r.text = r.text[n:]
	return c, n, nil
}

var _ io.RuneReader = (*patientReader)(nil)

// errNoMatch says that none of several texts matched.
var errNoMatch = errors.New("no match")

// matchAny returns nil if one of the texts matches, errNoMatch if none does, or
// why ctx is done.
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
