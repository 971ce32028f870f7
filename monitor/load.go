package monitor

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Bounds of what is read. A document of a thousand monitors is about 300 KiB.
const (
	maxDocument = 1 << 20
	maxFiles    = 10_000
)

// Set is what a number of documents define.
type Set struct {
	Monitors  []*Definition
	Receivers []*Receiver
}

// Receiver is an action that monitors name.
type Receiver struct {
	Name, Origin string
	action       section
	line         int
}

// Problem is one thing wrong with a document.
type Problem struct {
	// File and Line say where; Line is 0 if it is not known.
	File string
	Line int
	// Monitor names the definition concerned, or is empty.
	Monitor string
	Err     error
	// Warning is set if the definition runs all the same.
	Warning bool
}

// Error returns `FILE:LINE: monitor "NAME": what is wrong`.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Monitor != "" {
		fmt.Fprintf(&b, "monitor %q: ", p.Monitor)
	}
	b.WriteString(p.Err.Error())
	return b.String()
}

// Unwrap returns Err.
func (p *Problem) Unwrap() error { return p.Err }

// Load reads documents from files and, sorted by name, from the files *.toml of
// directories. It returns all that is good and all that is wrong: one bad
// definition spoils no other.
func Load(paths ...string) (Set, []*Problem) {
	var set Set
	var problems []*Problem
	for _, path := range paths {
		files, err := filesOf(path)
		if err != nil {
			problems = append(problems, &Problem{File: path, Err: err})
		}
		for _, file := range files {
			one, wrong := loadFile(file)
			set.Monitors = append(set.Monitors, one.Monitors...)
			set.Receivers = append(set.Receivers, one.Receivers...)
			problems = append(problems, wrong...)
		}
	}
	problems = append(problems, set.refuseDuplicates()...)
	slices.SortStableFunc(problems, func(a, b *Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, strings.Compare(a.Err.Error(), b.Err.Error()))
	})
	return set, problems
}

func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, nil // a missing file is reported when it is read
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("reading the directory: %w", err)
	}
	var files []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".toml") && !strings.HasPrefix(name, ".") {
			files = append(files, filepath.Join(path, name))
		}
	}
	if len(files) > maxFiles {
		return files[:maxFiles], fmt.Errorf("holds %d files: only the first %d are read", len(files), maxFiles)
	}
	return files, nil
}

func loadFile(file string) (Set, []*Problem) {
	text, mode, err := readDocument(file)
	if err != nil {
		return Set{}, []*Problem{{File: file, Err: err}}
	}
	set, problems := Parse(file, text)
	if mode.Perm()&0o022 != 0 {
		problems = append(problems, &Problem{
			File: file, Warning: true,
			Err: fmt.Errorf("group or others may write the file (mode %04o): its exec probes and actions are refused; chmod go-w heals it", mode.Perm()),
		})
		refused := set.refuseExec(file)
		problems = append(problems, refused...)
	}
	return set, problems
}

func readDocument(file string) (string, fs.FileMode, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", 0, cause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", 0, cause(err)
	}
	if !info.Mode().IsRegular() {
		return "", 0, errors.New("not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return "", 0, cause(err)
	}
	if len(text) > maxDocument {
		return "", 0, fmt.Errorf("larger than %d bytes", maxDocument)
	}
	return string(text), info.Mode(), nil
}

// cause drops the path that the place of the problem names already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("cannot %s it: %w", p.Op, p.Err)
	}
	return err
}

// Parse reads the TOML text of a file.
func Parse(file, text string) (Set, []*Problem) {
	tree := make(map[string]any)
	if _, err := toml.Decode(text, &tree); err != nil {
		p := &Problem{File: file, Err: err}
		var at toml.ParseError
		if errors.As(err, &at) {
			p.Line, p.Err = at.Position.Line, errors.New(at.Message)
		}
		return Set{}, []*Problem{p}
	}
	line := linesOf(text)
	top := struct {
		Monitor  []map[string]any `toml:"monitor"`
		Receiver []map[string]any `toml:"receiver"`
	}{}
	problems := problemsOf(file, "", decodeTree(plainTree(tree).(map[string]any), "", line, &top))
	var set Set
	origin := "file:" + filepath.Base(file)
	for i, tree := range top.Receiver {
		r, err := receiverOf(tree, fmt.Sprintf("receiver.%d", i), line)
		r.Origin = origin
		problems = append(problems, problemsOf(file, "", err)...)
		if err == nil {
			set.Receivers = append(set.Receivers, r)
		}
	}
	for i, tree := range top.Monitor {
		d, err := define(tree, fmt.Sprintf("monitor.%d", i), line)
		d.Origin, d.Trusted = origin, true
		problems = append(problems, problemsOf(file, d.Name, err)...)
		if err == nil {
			set.Monitors = append(set.Monitors, d)
		}
	}
	return set, problems
}

// ParseOne reads one definition that came over the API, as JSON if it begins
// with a brace, else as TOML with or without a [[monitor]] around it.
func ParseOne(text string) (*Definition, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		tree, err := jsonTree(text)
		if err != nil {
			return nil, err
		}
		return named(define(tree, "", func(string) int { return 0 }))
	}
	set, problems := Parse("", text)
	if len(set.Monitors) == 1 && len(problems) == 0 && len(set.Receivers) == 0 {
		return named(set.Monitors[0], nil)
	}
	tree := make(map[string]any)
	if _, err := toml.Decode(text, &tree); err == nil && tree["monitor"] == nil {
		return named(define(plainTree(tree).(map[string]any), "", linesOf(text)))
	}
	errs := make([]error, 0, len(problems)+1)
	for _, p := range problems {
		errs = append(errs, p)
	}
	if len(problems) == 0 {
		errs = append(errs, fmt.Errorf("want one monitor, have %d monitors and %d receivers", len(set.Monitors), len(set.Receivers)))
	}
	return nil, errors.Join(errs...)
}

func named(d *Definition, err error) (*Definition, error) {
	if err != nil {
		var errs []error
		for _, p := range problemsOf("", d.Name, err) {
			errs = append(errs, p)
		}
		return nil, errors.Join(errs...)
	}
	d.Origin = "api"
	return d, nil
}

// jsonTree reads one JSON object into the tree that TOML would give: numbers
// without fraction and exponent are whole.
func jsonTree(text string) (map[string]any, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var tree map[string]any
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("reading the JSON: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("reading the JSON: more text follows the object")
	}
	plain, _ := plainTree(tree).(map[string]any)
	return plain, nil
}

// plainTree turns what the two parsers give into the types that decodeTree
// knows.
func plainTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			if e != nil { // null in JSON says what an absent key says
				m[k] = plainTree(e)
			}
		}
		return m
	case []map[string]any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = plainTree(e)
		}
		return l
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = plainTree(e)
		}
		return l
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // an overflow is an infinity, which decodeTree refuses
		return f
	}
	return v
}

func receiverOf(tree map[string]any, path string, line place) (*Receiver, error) {
	s, err := sectionOf(tree, path, line)
	r := &Receiver{line: line(path)}
	if err == nil {
		err = s.take("name", &r.Name)
	}
	if err == nil {
		err = checkName(r.Name)
	}
	r.action = s
	if err != nil {
		return r, &keyError{path, line(path), fmt.Errorf("receiver %q: %w", r.Name, err)}
	}
	return r, nil
}

// problemsOf splits joined errors into problems with their lines.
func problemsOf(file, monitor string, err error) []*Problem {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var problems []*Problem
		for _, err := range many.Unwrap() {
			problems = append(problems, problemsOf(file, monitor, err)...)
		}
		return problems
	}
	p := &Problem{File: file, Monitor: monitor, Err: err}
	var at *keyError
	if errors.As(err, &at) {
		p.Line = at.line
	}
	return []*Problem{p}
}

// refuseDuplicates drops every monitor and receiver whose name was used before.
func (s *Set) refuseDuplicates() []*Problem {
	var problems []*Problem
	monitors := make(map[string]*Definition)
	s.Monitors = slices.DeleteFunc(s.Monitors, func(d *Definition) bool {
		first, ok := monitors[d.Name]
		if !ok {
			monitors[d.Name] = d
			return false
		}
		problems = append(problems, &Problem{
			File: strings.TrimPrefix(d.Origin, "file:"), Line: d.line, Monitor: d.Name,
			Err: fmt.Errorf("the name is used already at %s:%d", strings.TrimPrefix(first.Origin, "file:"), first.line),
		})
		return true
	})
	receivers := make(map[string]*Receiver)
	s.Receivers = slices.DeleteFunc(s.Receivers, func(r *Receiver) bool {
		first, ok := receivers[r.Name]
		if !ok {
			receivers[r.Name] = r
			return false
		}
		problems = append(problems, &Problem{
			File: strings.TrimPrefix(r.Origin, "file:"), Line: r.line,
			Err: fmt.Errorf("receiver %q: the name is used already at %s:%d", r.Name, strings.TrimPrefix(first.Origin, "file:"), first.line),
		})
		return true
	})
	return problems
}

// refuseExec drops every definition that would run a command.
func (s *Set) refuseExec(file string) []*Problem {
	var problems []*Problem
	s.Monitors = slices.DeleteFunc(s.Monitors, func(d *Definition) bool {
		if !d.runsCommands() {
			return false
		}
		problems = append(problems, &Problem{File: file, Line: d.line, Monitor: d.Name, Err: errors.New("exec is refused from a file that group or others may write")})
		return true
	})
	s.Receivers = slices.DeleteFunc(s.Receivers, func(r *Receiver) bool {
		if r.action.kind != kindExec {
			return false
		}
		problems = append(problems, &Problem{File: file, Line: r.line, Err: fmt.Errorf("receiver %q: exec is refused from a file that group or others may write", r.Name)})
		return true
	})
	return problems
}

// kindExec is the kind of probe and action that runs commands.
const kindExec = "exec"

func (d *Definition) runsCommands() bool {
	return d.probe.kind == kindExec || slices.ContainsFunc(d.actions, func(a section) bool { return a.kind == kindExec })
}
